/**
 * Loaded before each test file of the run inside workerd, and by no other.
 *
 * @module
 */
const agent = typeof navigator === "undefined" ? "nameless" : navigator.userAgent;
if (agent !== "Cloudflare-Workers") {
  throw new Error(`These tests are to run inside workerd, and this is ${agent}.`);
}

// workerd tells no CPU time: the bounds on it hold on the other runtimes.
process.cpuUsage = () => ({ user: 0, system: 0 });

const send = WebSocket.prototype.send;
const REPAIRED = Symbol.for("celeriac.test.repaired");

/** The runner reports over a WebSocket, and workerd's cannot carry a lone surrogate: one in a test's name ends the run. */
if (!(REPAIRED in WebSocket.prototype)) {
  Object.assign(WebSocket.prototype, {
    [REPAIRED]: true,
    send(this: WebSocket, data: string | ArrayBufferView<ArrayBuffer>) {
      send.call(this, typeof data === "string" ? wellFormed(data) : data);
    },
  });
}

function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}
