/**
 * What tests do to a RabbitMQ of their own, by the functions that `rabbitmqctl` calls there (rabbit 3.10).
 *
 * @module
 */
import type { RabbitServer } from "./servers.ts";

/** `rabbitmqctl add_user`, `set_permissions`: patterns of what it may configure, write and read in "/". */
export async function addUser(
  server: RabbitServer,
  { name, password, may }: {
    readonly name: string;
    readonly password: string;
    readonly may: readonly [configure: string, write: string, read: string];
  },
): Promise<void> {
  const [user, patterns] = [binary(name), may.map(binary).join(", ")];
  await server.evaluate(
    `rabbit_auth_backend_internal:add_user(${user}, ${binary(password)}, <<"tests">>), ` +
      `rabbit_auth_backend_internal:set_permissions(${user}, <<"/">>, ${patterns}, <<"tests">>)`,
  );
}

/** `rabbitmqctl change_password`. */
export async function changePassword(server: RabbitServer, user: string, password: string): Promise<void> {
  await server.evaluate(
    `rabbit_auth_backend_internal:change_password(${binary(user)}, ${binary(password)}, <<"tests">>)`,
  );
}

/** `rabbitmqctl close_all_connections`. */
export async function closeConnections(server: RabbitServer, reason: string): Promise<void> {
  await server.evaluate(
    `[rabbit_networking:close_connection(Pid, ${text(reason)}) || Pid <- rabbit_networking:connections()]`,
  );
}

/** `rabbitmqctl close_all_user_connections`. */
export async function closeConnectionsOf(server: RabbitServer, user: string, reason: string): Promise<void> {
  await server.evaluate(`rabbit_networking:close_all_user_connections(${binary(user)}, ${text(reason)})`);
}

/** `rabbitmqctl set_vm_memory_high_watermark`: whoever publishes is stopped, or no longer. */
export async function memoryAlarm(server: RabbitServer, on: boolean): Promise<void> {
  // The answer to the question comes when each connection has been told: a publish before that would be taken, and no word said.
  const watermark = on ? '{absolute, "1MB"}' : "0.4";
  await server.evaluate(
    `vm_memory_monitor:set_vm_memory_high_watermark(${watermark}), rabbit_alarm:get_alarms()`,
  );
}

/** How long a message may be held before its channel is closed, and how often that is looked at, ms; without numbers as at first. */
export async function consumerTimeout(server: RabbitServer, ms = 1_800_000, tick = 60_000): Promise<void> {
  await server.evaluate(
    `application:set_env(rabbit, consumer_timeout, ${ms}), application:set_env(rabbit, channel_tick_interval, ${tick})`,
  );
}

/** `rabbitmqctl stop_app`, `start_app`. */
export async function restartApp(server: RabbitServer): Promise<void> {
  await server.evaluate("ok = rabbit:stop(), ok = rabbit:start()");
}

/** `rabbitmqctl delete_queue`. */
export async function deleteQueue(server: RabbitServer, queue: string): Promise<void> {
  await server.evaluate(
    `{ok, Queue} = rabbit_amqqueue:lookup(${
      named(queue)
    }), rabbit_amqqueue:delete(Queue, false, false, <<"tests">>)`,
  );
}

/** `rabbitmqctl list_queues` of one: what waits, and what somebody has in hand. */
export async function countsOf(
  server: RabbitServer,
  queue: string,
): Promise<{ readonly ready: number; readonly unacknowledged: number }> {
  const said = await server.evaluate(
    `{ok, Queue} = rabbit_amqqueue:lookup(${named(queue)}), ` +
      "rabbit_amqqueue:info(Queue, [messages_ready, messages_unacknowledged])",
  );
  const [, ready, unacknowledged] = /messages_ready,(\d+)\}[^]*messages_unacknowledged,(\d+)\}/.exec(said) ??
    [];
  if (ready === undefined) throw new Error(`no counts of ${queue}: ${said}`);
  return { ready: Number(ready), unacknowledged: Number(unacknowledged) };
}

function named(queue: string): string {
  return `rabbit_misc:r(<<"/">>, queue, ${binary(queue)})`;
}

function binary(value: string): string {
  return `<<${text(value)}/utf8>>`;
}

function text(value: string): string {
  return JSON.stringify(value);
}
