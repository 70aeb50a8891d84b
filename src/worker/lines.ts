/**
 * The worker's log lines, in Celery's words (celery/app/trace.py, celery/worker/consumer/consumer.py): people grep for them.
 *
 * @module
 */
import type { Delivery } from "../broker.ts";
import { silentLogger } from "../lib/logger.ts";
import type { LogLevel } from "../lib/logger.ts";
import { oneLine } from "../lib/printable.ts";
import type { WireException } from "../protocol/exception.ts";
import { saferepr } from "../protocol/repr.ts";
import type { ChoosyLogger } from "./guarded.ts";

/** The longest name or id that a line shows. */
const LONGEST = 300;

/** Foreign text made fit for a line: control characters escaped as Python's `repr` does, length bounded. */
export function printable(text: string): string {
  return oneLine(text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text);
}

/** A value as Python shows it, cut to some 1,024 characters. Celery's own `saferepr` leaves control characters as they are. */
export function shown(value: unknown): string {
  return oneLine(saferepr(value));
}

/** `tasks.add[id]`, as most lines name a task. */
export function label(name: string, id: string): string {
  return `${printable(name)}[${printable(id)}]`;
}

/** Python's `repr` of an exception: `ValueError('bad value', 42)`. */
export function exceptionRepr(exception: WireException): string {
  return `${printable(exception.exc_type)}(${exception.exc_message.map((part) => shown(part)).join(", ")})`;
}

/** A runtime in seconds as Python prints a float, never with an exponent: `0.0050041`. */
export function seconds(ms: number): string {
  const value = ms / 1000;
  if (value < 1e-6) return value.toFixed(9);
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** Whether it is worth making a line of this level. A logger may say so by a method `enabled`. */
export function heeds(logger: ChoosyLogger, level: LogLevel): boolean {
  return logger !== silentLogger && logger.enabled?.(level) !== false;
}

/** Celery's `dump_body`: the body's beginning and its size. */
function dumpBody(delivery: Delivery): string {
  const { body } = delivery.message;
  const text = new TextDecoder().decode(body.subarray(0, 1024));
  return `${shown(text)} (${body.length}b)`;
}

function deliveryInfo({ route, queue, redelivered }: Delivery): string {
  return shown({ exchange: route.exchange, routing_key: route.routingKey, queue, redelivered });
}

/** `UNKNOWN_FORMAT`: no task message at all. */
export function unknownMessage(delivery: Delivery): string {
  const { contentType, contentEncoding, headers } = delivery.message;
  return "Received and deleted unknown message.  Wrong destination?!?\n\n" +
    `The full contents of the message body was: body: ${dumpBody(delivery)}\n` +
    `{content_type:${shown(contentType)} content_encoding:${shown(contentEncoding)}\n` +
    `  delivery_info:${deliveryInfo(delivery)} headers=${shown(headers)}}\n`;
}

/** `UNKNOWN_TASK_ERROR`: a task that this worker does not have. */
export function unknownTask(delivery: Delivery, name: string): string {
  return `Received unregistered task of type ${shown(name)}.\n` +
    "The message has been ignored and discarded.\n\n" +
    "Did you remember to import the module containing this task?\n" +
    "Or maybe you're using relative imports?\n\n" +
    "Please see\nhttps://docs.celeryq.dev/en/latest/internals/protocol.html\nfor more information.\n\n" +
    `The full contents of the message body was:\n${dumpBody(delivery)}\n\n` +
    `The full contents of the message headers:\n${shown(delivery.message.headers)}\n\n` +
    `The delivery info for this task is:\n${deliveryInfo(delivery)}\n`;
}

/** `INVALID_TASK_ERROR`: content that is not accepted, or fields that make no sense. */
export function invalidTask(delivery: Delivery, error: Error): string {
  return `Received invalid task message: ${printable(error.message)}\n` +
    "The message has been ignored and discarded.\n\n" +
    "Please ensure your message conforms to the task\nmessage protocol as described here:\n" +
    "https://docs.celeryq.dev/en/latest/internals/protocol.html\n\n" +
    `The full contents of the message body was:\n${dumpBody(delivery)}\n`;
}

/** `MESSAGE_DECODE_ERROR`: bytes that cannot be read. */
export function undecodable(delivery: Delivery, error: Error): string {
  const { contentType, contentEncoding, headers } = delivery.message;
  return `Can't decode message body: ${printable(error.name)}(${shown(error.message)}) ` +
    `[type:${shown(contentType)} encoding:${shown(contentEncoding)} headers:${shown(headers)}]\n\n` +
    `body: ${dumpBody(delivery)}\n`;
}
