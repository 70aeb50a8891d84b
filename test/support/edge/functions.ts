/**
 * The code of edge functions: full `Celery` and the lean `Producer`, over WebSocket and over HTTP.
 *
 * @module
 */

/** Where the function's servers are. */
export interface Servers {
  /** `ws://user:password@host:port`, the relay before RabbitMQ. */
  readonly relay: string;
  /** The gateway before Redis. */
  readonly gateway: { readonly url: string; readonly token: string };
  readonly queue: string;
}

/** How a function sends. */
export interface Way {
  readonly name: string;
  readonly by: "websocket" | "http";
  /** A module whose default export is a handler. */
  code(servers: Servers): string;
}

const TASK = "const TASK = { args: [1, 2], kwargs: { note: 'é' } };";

/** By `by` and class. */
export const WAYS: readonly Way[] = [
  {
    name: "Celery over WebSocket",
    by: "websocket",
    code: ({ relay, queue }) => `
      import { Celery } from "celeriac";
      import { amqpBroker } from "celeriac/amqp/websocket";
      ${celery(`amqpBroker(${JSON.stringify(relay)})`, "", queue)}`,
  },
  {
    name: "Producer over WebSocket",
    by: "websocket",
    code: ({ relay, queue }) => `
      import { amqpPublisher } from "celeriac/amqp/websocket";
      ${producer(`amqpPublisher(${JSON.stringify(relay)})`, queue)}`,
  },
  {
    name: "Celery over HTTP",
    by: "http",
    code: ({ gateway, queue }) => `
      import { Celery } from "celeriac";
      import { upstashBackend, upstashBroker } from "celeriac/upstash";
      ${
      celery(
        `upstashBroker(${JSON.stringify(gateway)})`,
        `backend: upstashBackend(${JSON.stringify(gateway)}),`,
        queue,
      )
    }`,
  },
  {
    name: "Producer over HTTP",
    by: "http",
    code: ({ gateway, queue }) => `
      import { upstashPublisher } from "celeriac/upstash";
      ${producer(`upstashPublisher(${JSON.stringify(gateway)})`, queue)}`,
  },
];

const SENDING = `
      send: async (count) => {
        const one = () => app.sendTask("tasks.add", TASK);
        return (await Promise.all(Array.from({ length: count }, one))).map(({ id }) => id);
      },
      compressed: () => app.sendTask("tasks.add", { ...TASK, compression: "gzip" } as {}),`;

function celery(broker: string, backend: string, queue: string): string {
  return `import { edge } from "./test/support/edge/handler.ts";
    ${TASK}
    const app = new Celery("edge", { broker: ${broker}, ${backend} taskDefaultQueue: ${
    JSON.stringify(queue)
  } });
    export default edge({ ${SENDING} close: () => app.close(), result: (id) => app.result(id) });`;
}

function producer(broker: string, queue: string): string {
  return `import { Producer } from "celeriac/producer";
    import { edge } from "./test/support/edge/handler.ts";
    ${TASK}
    const broker = ${broker};
    const app = new Producer({ broker, taskDefaultQueue: ${JSON.stringify(queue)} });
    export default edge({ ${SENDING} close: () => broker.close() });`;
}
