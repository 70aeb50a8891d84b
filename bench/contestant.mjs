/**
 * One contestant in a process of its own: `node bench/contestant.mjs <name> <json options>` prints one JSON line of figures.
 *
 * @module
 */
import process from "node:process";

const [, , name, json] = process.argv;
const options = JSON.parse(json);
const contestant = await import(`./${name}.mjs`);

async function timed(phase) {
  const { run, close } = await phase(options);
  const cpu = process.cpuUsage();
  const start = performance.now();
  await run();
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  await close();
  return { seconds, cpu: used.user + used.system };
}

const publish = await timed(contestant.publish);
const consume = await timed(contestant.consume);
console.log(JSON.stringify({ publish, consume }));
process.exit(0);
