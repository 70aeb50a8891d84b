/**
 * A process that sends one task, and says so.
 *
 * @module
 */
import { argv, kill, pid } from "node:process";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../mod.ts";

const [, , kind = "", url = "", queue = "", id = ""] = argv;
// No process outlives the one that started it, however that one ended.
process.stdin.once("close", () => kill(pid, "SIGKILL")).resume().unref();

const broker = kind === "RabbitMQ"
  ? amqpBroker(url)
  : kind === "Redis"
  ? redisBroker(url)
  : upstashBroker({ url, token: "test-token" });
await using app = new Celery("sender", { broker, taskDefaultQueue: queue });
await app.sendTask("t.any", { taskId: id });
process.stdout.write("sent\n");
