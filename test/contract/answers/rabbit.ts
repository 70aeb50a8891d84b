/**
 * Questions to a real RabbitMQ that its documentation leaves open: `node scripts/ts.mjs test/contract/answers/rabbit.ts`. What it
 * answered stands in ../answers.md.
 *
 * @module
 */
import { type AMQPChannel, AMQPClient, type AMQPMessage } from "@cloudamqp/amqp-client";
import { startRabbit } from "../../support/servers.ts";
import { pause, until } from "../../support/wait.ts";

async function channelTo(
  url: string,
): Promise<{ readonly client: AMQPClient; readonly channel: AMQPChannel }> {
  const client = new AMQPClient(url);
  client.onerror = () => {};
  client.logger = undefined;
  const connected = client.connect();
  client.socket?.setNoDelay(true);
  await connected;
  const channel = await client.channel();
  channel.onerror = () => {};
  return { client, channel };
}

async function get(channel: AMQPChannel, queue: string): Promise<AMQPMessage> {
  return await until(async () => await channel.basicGet(queue, { noAck: false }), {
    what: `a message in ${queue}`,
  });
}

await using server = await startRabbit();
console.log((await server.evaluate("{rabbit_misc:version(), rabbit_misc:otp_release()}")).trim());

// An ack of what was held of a queue that is gone.
{
  const { client, channel } = await channelTo(server.url);
  await channel.queueDeclare("gone");
  for (const body of ["1", "2", "3"]) await channel.basicPublish("", "gone", body);
  for (let turn = 0; turn < 3; turn++) await get(channel, "gone");
  await channel.queueDelete("gone");
  await channel.basicAck(1);
  await channel.basicNack(2, true);
  await channel.basicReject(3, false);
  await channel.basicQos(1);
  console.log(
    "ack, nack and reject of a deleted queue's deliveries: the channel is",
    channel.closed ? "closed" : "open",
  );
  await client.close();
}

// Whom drop-head drops in a queue with priorities.
{
  const { client, channel } = await channelTo(server.url);
  await channel.queueDeclare("ranked", {}, { "x-max-priority": 5, "x-max-length": 2 });
  for (const priority of [5, 0, 3]) await channel.basicPublish("", "ranked", `p${priority}`, { priority });
  const left = [await get(channel, "ranked"), await get(channel, "ranked")].map((message) =>
    message.bodyString()
  );
  console.log("x-max-length 2 after priorities 5, 0, 3 leaves", left.join(" "));
  await client.close();
}

// In which order a batch comes back to a quorum queue.
for (const count of [8, 32, 33, 100]) {
  const { client, channel } = await channelTo(server.url);
  const queue = `quorum${count}`;
  await channel.queueDeclare(queue, { durable: true, autoDelete: false }, { "x-queue-type": "quorum" });
  await channel.confirmSelect();
  for (let number = 0; number < count; number++) await channel.basicPublish("", queue, String(number));
  for (let number = 0; number < count; number++) await get(channel, queue);
  await channel.basicNack(0, true, true);
  const back: number[] = [];
  for (let number = 0; number < count; number++) back.push(Number((await get(channel, queue)).bodyString()));
  const sorted = back.every((number, at) => number === at);
  console.log(`quorum, ${count} nacked at once:`, sorted ? "in order" : `not in order: ${back.join(" ")}`);
  await client.close();
}

/** All that is in a queue, in its order: body, whether it is redelivered, and a quorum queue's count. */
async function drained(queue: string): Promise<string> {
  const { client, channel } = await channelTo(server.url);
  const all: string[] = [];
  for (;;) {
    const message = await channel.basicGet(queue, { noAck: true });
    if (message === null) break;
    const count: unknown = message.properties.headers?.["x-delivery-count"];
    all.push(
      `${message.bodyString()}${message.redelivered ? " again" : ""}${
        count === undefined ? "" : ` (${String(count)})`
      }`,
    );
  }
  await client.close();
  return all.join(", ") || "nothing";
}

// What is left after kill -9, and what it says of itself: 0 1 were acked, 2 3 held, 4 5 given back, 6 7 never handed out.
const KINDS = { classic: {}, quorum: { "x-queue-type": "quorum" } };
for (const [kind, table] of Object.entries(KINDS)) {
  const { client, channel } = await channelTo(server.url);
  await channel.queueDeclare(`killed.${kind}`, { durable: true, autoDelete: false }, table);
  await client.close();
}
// Ra writes down a new queue's name half a second later.
await pause(3000);
for (
  const [how, deliveryMode, ms] of [["persistent", 2, 0], ["persistent", 2, 100], ["persistent", 2, 1000], [
    "transient",
    1,
    1000,
  ]] as const
) {
  const { channel } = await channelTo(server.url);
  await channel.confirmSelect();
  for (const kind of Object.keys(KINDS)) {
    const queue = `killed.${kind}`;
    for (let number = 0; number < 8; number++) {
      await channel.basicPublish("", queue, String(number), { deliveryMode });
    }
    const held: AMQPMessage[] = [];
    for (let number = 0; number < 6; number++) held.push(await get(channel, queue));
    for (const message of held.slice(0, 2)) await message.ack();
    for (const message of held.slice(4)) await message.nack(true);
  }
  // Answered, so all of it was heard.
  await channel.basicQos(1);
  await pause(ms);
  await server.kill9();
  await server.start();
  // By itself its one member, without anybody to hear from, takes minutes to stand for election.
  await server.evaluate("ra:trigger_election({'%2F_killed.quorum', node()})");
  await until(
    async () => (await server.evaluate("ets:lookup(ra_state, '%2F_killed.quorum')")).includes("leader"),
    { what: "a leader" },
  );
  for (const kind of Object.keys(KINDS)) {
    console.log(`kill -9 ${ms} ms later, ${how}, ${kind}:`, await drained(`killed.${kind}`));
  }
}

// Whether acks alone, with never 0.2 s between them, are written down; and whether a publish that waits for its confirm writes them.
for (const publishes of [false, true]) {
  const { channel } = await channelTo(server.url);
  await channel.confirmSelect();
  const queue = `busy.${publishes ? "publish" : "acks"}`;
  await channel.queueDeclare(queue, { durable: true, autoDelete: false });
  for (let number = 0; number < 200; number++) {
    await channel.basicPublish("", queue, String(number), { deliveryMode: 2 });
  }
  const held: AMQPMessage[] = [];
  for (let number = 0; number < 200; number++) held.push(await get(channel, queue));
  await pause(1500);
  const begin = performance.now();
  for (const message of held.slice(0, 100)) {
    await message.ack();
    await pause(50);
  }
  if (publishes) await channel.basicPublish("", queue, "last", { deliveryMode: 2 });
  // Answered, so all of it was heard.
  await channel.basicQos(1);
  const oldest = ((performance.now() - begin) / 1000).toFixed(1);
  await server.kill9();
  await server.start();
  const left = (await drained(queue)).split(", ").map((text) => Number(text.split(" ")[0]));
  console.log(
    `kill -9 in the middle of 100 acks, one every 50 ms, the oldest ${oldest} s before${
      publishes ? ", after a confirmed publish" : ""
    }:`,
    left.filter((number) => number < 100).length,
    "of them came again",
  );
}
