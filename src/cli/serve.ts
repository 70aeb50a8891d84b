/**
 * A web handler on Node's HTTP server, which Bun and Deno have as well.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Address } from "./host.ts";

/** See `Host.serve`. It keeps no process alive. */
export async function serve(
  { host, port }: Address,
  answer: (request: Request) => Response,
): Promise<Disposable & Address> {
  const server = createServer((request, response) => void reply(request, response, answer));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  server.unref();
  return {
    host,
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function reply(
  { method = "GET" }: IncomingMessage,
  response: ServerResponse,
  answer: (request: Request) => Response,
): Promise<void> {
  try {
    // The path means nothing, and a Request takes none of the strange ones that a socket may bring.
    const { body, headers, status } = answerTo(method, answer);
    response.writeHead(status, Object.fromEntries(headers));
    response.end(body === null ? undefined : await new Response(body).text());
  } catch {
    response.destroy();
  }
}

/** A method that no Request may have is none that is answered. */
function answerTo(method: string, answer: (request: Request) => Response): Response {
  try {
    return answer(new Request("http://localhost/", { method }));
  } catch {
    return new Response(null, { status: 405 });
  }
}
