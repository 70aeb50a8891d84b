/**
 * What a task message is made of.
 *
 * @module
 */
import type { Embed } from "./signature.ts";

/** What a task message says. Durations are ms and instants ms since the epoch, as everywhere behind the door. */
export interface TaskSpec {
  readonly task: string;
  /** Any text of at most 255 bytes; a UUID as a rule. It is the correlation id too. */
  readonly id: string;
  /** @default [] */
  readonly args?: readonly unknown[] | undefined;
  /** @default {} */
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
  /** What follows. @default NO_EMBED */
  readonly embed?: Embed;
  /** Who sends: `gen<pid>@<hostname>`. */
  readonly origin: string;
  /** Where rpc results go. */
  readonly replyTo: string;
  /** @default the task's own id */
  readonly rootId?: string | null | undefined;
  /** @default null */
  readonly parentId?: string | null | undefined;
  /** @default null */
  readonly group?: string | null | undefined;
  /** @default null */
  readonly groupIndex?: number | null | undefined;
  /** Not before: ms since the epoch, or the ISO text that a peer wrote. @default null */
  readonly eta?: number | string | null | undefined;
  /** Not after: ms since the epoch, or the ISO text that a peer wrote. @default null */
  readonly expires?: number | string | null | undefined;
  /** The clock's reading, ms since the epoch. With `expires` of the next ten years it gives the property `expiration`, by which RabbitMQ drops the message. */
  readonly now?: number | undefined;
  /** @default 0 */
  readonly retries?: number | undefined;
  /** Hard limit, ms. @default null */
  readonly timeLimit?: number | null | undefined;
  /** Soft limit, ms. @default null */
  readonly softTimeLimit?: number | null | undefined;
  /** The name that logs and events show. @default null */
  readonly shadow?: string | null | undefined;
  /** @default Python's text of the arguments, at most 1024 characters */
  readonly argsrepr?: string | null | undefined;
  /** @default Python's text of the keyword arguments, at most 1024 characters */
  readonly kwargsrepr?: string | null | undefined;
  /** Null leaves the decision to the worker's task; false would turn storing back on. @default null */
  readonly ignoreResult?: boolean | null | undefined;
  /** @default 0 */
  readonly replacedTaskNesting?: number | undefined;
  /** @default null */
  readonly stampedHeaders?: readonly string[] | null | undefined;
  /** @default {} */
  readonly stamps?: Readonly<Record<string, unknown>> | undefined;
  /** 0 to 255. @default 0 */
  readonly priority?: number | null | undefined;
  /** 2 survives a restart of the broker, 1 does not. @default 2 */
  readonly deliveryMode?: 1 | 2 | undefined;
  /** The sender's own headers; Celery's names are refused, notes of dead-lettering dropped. */
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

/** A task message before its body is made into bytes. */
export interface TaskParts {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body: readonly [args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>, embed: Embed];
}
