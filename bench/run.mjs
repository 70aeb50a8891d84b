/**
 * `npm run bench`: small tasks published and run on RabbitMQ with Redis results, beside a bare loop on the same client libraries
 * doing the same wire work. Rounds alternate, the median of each figure counts. It prints figures and asserts nothing.
 *
 * `BROKER_URL` and `RESULT_BACKEND` name the servers, `TASKS` (20000) and `ROUNDS` (3) the size.
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";

const count = Number(process.env.TASKS ?? 20_000);
const rounds = Number(process.env.ROUNDS ?? 3);
const amqp = process.env.BROKER_URL ?? "amqp://guest:guest@127.0.0.1:5672/";
const redis = process.env.RESULT_BACKEND ?? "redis://127.0.0.1:6379/9";
const execute = promisify(execFile);
const script = fileURLToPath(new URL("contestant.mjs", import.meta.url));

async function withQueue(queue, call) {
  const client = new AMQPClient(amqp);
  await client.connect();
  const channel = await client.channel();
  try {
    return await call();
  } finally {
    await channel.queueDelete(queue);
    await client.close();
  }
}

async function play(name, round) {
  const queue = `celeriac-bench-${process.pid}-${name}-${round}`;
  const options = JSON.stringify({ amqp, redis, queue, count, width: 1000, prefetch: 40 });
  return await withQueue(queue, async () => {
    const { stdout } = await execute(process.execPath, [script, name, options], { timeout: 300_000 });
    return JSON.parse(stdout.trim().split("\n").at(-1));
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function figures(results) {
  const of = (phase, key) => median(results.map((result) => result[phase][key]));
  const road = median(results.map((result) => result.publish.seconds + result.consume.seconds));
  const cpu = median(results.map((result) => result.publish.cpu + result.consume.cpu));
  return {
    publish: { rate: count / of("publish", "seconds"), cpu: of("publish", "cpu") / count },
    run: { rate: count / of("consume", "seconds"), cpu: of("consume", "cpu") / count },
    road: { rate: count / road, cpu: cpu / count },
  };
}

const names = ["bare", "celeriac"];
const results = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 1; round <= rounds; round += 1) {
  for (const name of names) {
    results[name].push(await play(name, round));
    process.stderr.write(`round ${round} of ${rounds}: ${name}\n`);
  }
}

const [bare, ours] = names.map((name) => figures(results[name]));
const cell = (value, digits = 0) => value.toFixed(digits).padStart(10);
console.log(`${count} tasks, ${rounds} rounds, medians; node ${process.version}`);
console.log(
  `${"".padEnd(10)}${"bare/s".padStart(10)}${"celeriac/s".padStart(12)}${"ratio".padStart(10)}${
    "bare µs".padStart(10)
  }${"ours µs".padStart(10)}${"times".padStart(10)}`,
);
for (const phase of ["publish", "run", "road"]) {
  const [b, o] = [bare[phase], ours[phase]];
  console.log(
    `${phase.padEnd(10)}${cell(b.rate)}  ${cell(o.rate)}${cell(o.rate / b.rate, 2)}${cell(b.cpu, 1)}${
      cell(o.cpu, 1)
    }${cell(o.cpu / b.cpu, 2)}`,
  );
}
console.log(
  "rate: tasks a second; µs: CPU of the client process for each task; ratio and times: celeriac to bare",
);
