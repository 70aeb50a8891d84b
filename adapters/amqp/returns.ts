/**
 * The library's view of received bytes where only messages of our own come back: their properties stay bytes, to be compared.
 *
 * @module
 */
import { AMQPView } from "@cloudamqp/amqp-client/amqp-view";

/** What stands before the properties in a header frame: class, weight, size of the body. */
const BEFORE_PROPERTIES = 12;

/** A view over whole frames, read by the library's parser. */
export class ReturnView extends AMQPView {
  constructor(bytes: Uint8Array) {
    super(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  override getProperties(at: number): [never, number] {
    // The frame's own size stands before its payload.
    const size = this.getUint32(at - BEFORE_PROPERTIES - 4) - BEFORE_PROPERTIES;
    return [new Uint8Array(this.buffer, this.byteOffset + at, size).slice() as never, size];
  }
}
