/**
 * Who is woken first of several clients that wait with BLMOVE on one list: `node scripts/ts.mjs test/contract/answers/redis.ts`. What it
 * answered stands in ../answers.md.
 *
 * @module
 */
import { Redis } from "ioredis";
import { startRedis } from "../../support/servers.ts";
import { until } from "../../support/wait.ts";

const WAITERS = 5;

await using server = await startRedis();
const control = new Redis(server.url);
const waiters = Array.from({ length: WAITERS }, () => new Redis(server.url));
const woken: number[] = [];

/** A look at the tail that takes nothing: the element is moved onto itself. */
async function wait(number: number): Promise<void> {
  await waiters[number]?.blmove("k", "k", "RIGHT", "RIGHT", 0);
  woken.push(number);
}

for (let round = 0; round < 3; round++) {
  woken.length = 0;
  const waits: Promise<void>[] = [];
  for (let number = 0; number < WAITERS; number++) {
    waits.push(wait((number + round) % WAITERS));
    await until(async () => (await control.info("clients")).includes(`blocked_clients:${number + 1}`), {
      what: "one more waiter",
    });
  }
  await control.lpush("k", "m");
  await Promise.all(waits);
  console.log(
    `round ${round}: one message woke all ${WAITERS}, in the order ${woken.join(" ")}; the list holds`,
    await control.llen("k"),
  );
  await control.del("k");
}
for (const client of [control, ...waiters]) client.disconnect();
