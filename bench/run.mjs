/**
 * `npm run bench`: small tasks published and run on RabbitMQ with Redis results, beside a bare loop on the same client libraries
 * doing the same wire work, beside Celery's own client and worker, and, with Redis for both, beside BullMQ. Rounds alternate, the median
 * of each figure counts. It prints figures and asserts nothing.
 *
 * `BROKER_URL` and `RESULT_BACKEND` name the servers, `TASKS` (20000) and `ROUNDS` (3) the size, `ONLY` the contestants ("bare,celeriac").
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { PYTHON } from "../scripts/needs.mjs";

const CONTESTANTS = ["bare", "celeriac", "celery", "celeriac-redis", "bullmq"];
const count = Number(process.env.TASKS ?? 20_000);
const rounds = Number(process.env.ROUNDS ?? 3);
const amqp = process.env.BROKER_URL ?? "amqp://guest:guest@127.0.0.1:5672/";
const redis = process.env.RESULT_BACKEND ?? "redis://127.0.0.1:6379/9";
const execute = promisify(execFile);
const place = (name) => fileURLToPath(new URL(name, import.meta.url));

/** What is started for a contestant. */
const commandOf = (name) =>
  name === "celery"
    ? [PYTHON, place("celery_contestant.py")]
    : [process.execPath, place("contestant.mjs"), name];

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
    const [program, ...args] = commandOf(name);
    const { stdout } = await execute(program, [...args, options], { timeout: 600_000 });
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

const only = process.env.ONLY?.split(",");
const names = CONTESTANTS.filter((name) => only?.includes(name) ?? true);
const results = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 1; round <= rounds; round += 1) {
  for (const name of names) {
    results[name].push(await play(name, round));
    process.stderr.write(`round ${round} of ${rounds}: ${name}\n`);
  }
}

const figuresOf = Object.fromEntries(names.map((name) => [name, figures(results[name])]));
const cell = (value, digits = 0, width = 11) => value.toFixed(digits).padStart(width);
const head = (...titles) =>
  titles.map((title, at) => at === 0 ? title.padEnd(16) : title.padStart(11)).join("");

/** A row for each phase: rates, CPU, and what `name` is to `other`. */
function compare(name, other) {
  const [ours, theirs] = [figuresOf[name], figuresOf[other]];
  if (ours === undefined || theirs === undefined) return;
  console.log(`\n${head(`${name} : ${other}`)}`);
  console.log(head("", "tasks/s", "theirs", "ratio", "µs a task", "theirs", "times"));
  for (const phase of ["publish", "run", "road"]) {
    const [o, t] = [ours[phase], theirs[phase]];
    console.log(
      `${phase.padEnd(16)}${cell(o.rate)}${cell(t.rate)}${cell(o.rate / t.rate, 2)}${cell(o.cpu, 1)}${
        cell(t.cpu, 1)
      }${cell(o.cpu / t.cpu, 2)}`,
    );
  }
}

console.log(`${count} tasks, ${rounds} rounds, medians; node ${process.version}`);
compare("celeriac", "bare");
compare("celeriac", "celery");
compare("celeriac-redis", "bullmq");
console.log(
  "\nratio and times: ours to theirs; µs: CPU of the clients' processes for each task. Celery publishes one at a time, its client knows no\n" +
    "other way, and runs tasks in a process for each CPU; the others use one thread. bare and celeriac confirm up to 1000 publishes at once.",
);
