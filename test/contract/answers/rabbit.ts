/**
 * Questions to a real RabbitMQ that its documentation leaves open: `node scripts/ts.mjs test/contract/answers/rabbit.ts`. What it
 * answered stands in ../answers.md.
 *
 * @module
 */
import { type AMQPChannel, AMQPClient, type AMQPMessage } from "@cloudamqp/amqp-client";
import { startRabbit } from "../../support/servers.ts";
import { until } from "../../support/wait.ts";

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

// The redelivered flag after kill -9.
{
  const { channel } = await channelTo(server.url);
  await channel.queueDeclare("durable", { durable: true, autoDelete: false });
  await channel.confirmSelect();
  for (let number = 0; number < 6; number++) {
    await channel.basicPublish("", "durable", String(number), { deliveryMode: 2 });
  }
  for (let number = 0; number < 3; number++) await get(channel, "durable");
  await server.kill9();
  await server.start();
  const { client, channel: after } = await channelTo(server.url);
  const flags: string[] = [];
  for (let number = 0; number < 6; number++) {
    const message = await get(after, "durable");
    flags.push(`${message.bodyString()}:${message.redelivered}`);
  }
  console.log("redelivered after kill -9, of which 0 1 2 had been handed out:", flags.join(" "));
  await client.close();
}
