import { randomUUID } from "node:crypto";
import { expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { startRelay } from "../support/relay.ts";
import { run, start } from "./run.ts";

test("call and worker over ws://, on a Node that has no WebSocket too", async () => {
  const queue = `cli-${randomUUID()}`;
  const { hostname, port } = new URL(inject("amqp"));
  await using relay = await startRelay({ host: hostname, port: Number(port) });
  // The password and the relay's token must not come out anywhere.
  const broker = `${relay.url.replace("://", "://guest:guest@")}/way?token=s3cr3t-canary`;
  const env = { CELERY_BROKER_URL: broker, CELERY_RESULT_BACKEND: inject("redis") };
  const app = ["-A", "./servers.ts"];
  const sent = await run([...app, "call", "tasks.sum.consume_task", "-a", "[86, 63]", "--queue", queue], env);
  expect(sent).toMatchObject({ end: "exit 0", stderr: "" });

  await using worker = start([...app, "worker", "-Q", queue, "-l", "debug"], env);
  await worker.saw(/succeeded in .*: 149/);
  relay.cut();
  const again = await run([...app, "call", "tasks.sum.consume_task", "-a", "[1, 1]", "--queue", queue], env);
  expect(again.end, again.stderr).toBe("exit 0");
  await worker.saw(/succeeded in .*: 2/);
  expect(await worker.stop("SIGTERM")).toBe("exit 0");
  expect(worker.log).toContain(`ws://guest:***@127.0.0.1:${relay.port}/way`);

  const wrong = `${relay.url.replace("://", "://me:s3cr3t-canary@")}/?token=s3cr3t-canary`;
  const refused = await run(["-b", wrong, "call", "t"]);
  expect(refused).toMatchObject({
    end: "exit 69",
    stderr: expect.stringMatching(/\[broker-credentials-refused\]/),
  });
  const said = [sent, again, refused].map(({ stdout, stderr }) => stdout + stderr).join() + worker.log;
  expect(said).not.toMatch(/s3cr3t/);

  const outside = amqpBroker(inject("amqp"));
  await outside.purge(queue);
  await outside.close();
});
