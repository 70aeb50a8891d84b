/**
 * The kinds of value that settings have, and how each is read.
 *
 * @module
 */
import type { ExchangeType } from "../broker.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { readPolicy, RETRY_POLICY } from "../producer/retry.ts";
import type { PublishRetryPolicy } from "../producer/settings.ts";
import { DEFAULT_LIMITS, type Limits } from "../protocol/limits.ts";
import { isRecord } from "./fields.ts";
import { camelCase } from "./settings-names.ts";
import type { IncludeLoader } from "./settings.ts";
import { instantFormat } from "./timezone.ts";

/** Reads a value as a program wrote it; undefined: not of its kind. */
export interface Kind<T> {
  /** Ends the sentence "task_default_queue must be …". */
  readonly is: string;
  read(value: unknown, name: string): T | undefined;
}

/** True or false. */
export const flag: Kind<boolean> = {
  is: "true or false",
  read: (value) => typeof value === "boolean" ? value : undefined,
};

/** A text. */
export const text: Kind<string> = {
  is: "a text that is not empty",
  read: (value) => typeof value === "string" && value !== "" ? value : undefined,
};

/** Names; one text with commas is taken too. */
export const names: Kind<readonly string[]> = {
  is: "an array of texts",
  read: (value) => {
    const list = typeof value === "string" ? value.split(",").map((each) => each.trim()) : value;
    return Array.isArray(list) && list.every((each) => typeof each === "string")
      ? list as string[]
      : undefined;
  },
};

/** URLs, first choice first; one text with `;` is taken too. */
export const urls: Kind<readonly string[]> = {
  is: "a URL, or an array of URLs",
  read: (value) => {
    const list = typeof value === "string" ? value.split(";") : value;
    const given = Array.isArray(list) && list.every((each) => typeof each === "string")
      ? list as string[]
      : undefined;
    const trimmed = given?.map((each) => each.trim()).filter((each) => each !== "");
    return trimmed === undefined || trimmed.length === 0 ? undefined : trimmed;
  },
};

/** Functions that import a module. */
export const loaders: Kind<readonly IncludeLoader[]> = {
  is: 'an array of functions that import a module: [() => import("./tasks.ts")]',
  read: (value) =>
    Array.isArray(value) && value.every((each) => typeof each === "function")
      ? value as IncludeLoader[]
      : undefined,
};

/** Any object. */
export const record: Kind<Readonly<Record<string, unknown>>> = {
  is: "an object",
  read: (value) => isRecord(value) ? value : undefined,
};

/** A duration: ms inside. */
export const time: Kind<number> = {
  is: 'seconds as a number, or a text with its unit ("10s", "5m", "1h")',
  read: (value, name) =>
    typeof value === "number" || typeof value === "string" ? toMs(value as Duration, name) : undefined,
};

/** A whole number. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  return {
    is: most === Number.MAX_SAFE_INTEGER
      ? `a whole number from ${least}`
      : `a whole number from ${least} to ${most}`,
    read: (value) =>
      typeof value === "number" && Number.isInteger(value) && value >= least && value <= most
        ? value
        : undefined,
  };
}

/** What a message may cost to read; what it does not say is the default. */
export const limits: Kind<Limits> = {
  is: `an object with some of ${Object.keys(DEFAULT_LIMITS).join(", ")}, each a whole number from 1`,
  read: (value, name) => {
    if (!isRecord(value)) return undefined;
    const read: Record<string, number> = { ...DEFAULT_LIMITS };
    for (const [given, part] of Object.entries(value)) {
      const key = camelCase(given);
      const most = part === undefined ? undefined : whole(1).read(part, name);
      if (!Object.hasOwn(DEFAULT_LIMITS, key) || (part !== undefined && most === undefined)) return undefined;
      if (most !== undefined) read[key] = most;
    }
    return read as { readonly [K in keyof Limits]: number };
  },
};

/** One of a few. */
export function oneOf<const V extends readonly unknown[]>(...values: V): Kind<V[number]> {
  return {
    is: `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`,
    read: (value) => values.includes(value) ? value as V[number] : undefined,
  };
}

/** AMQP's delivery mode. */
export const deliveryMode: Kind<1 | 2> = {
  is: 'one of 2 ("persistent"), 1 ("transient")',
  read: (value) =>
    value === 2 || value === "persistent" ? 2 : value === 1 || value === "transient" ? 1 : undefined,
};

/** A time zone. */
export const zone: Kind<string> = {
  is: 'the IANA name of a time zone that this runtime knows, such as "Europe/Oslo"',
  read: (value) => {
    if (typeof value !== "string" || value === "") return undefined;
    try {
      instantFormat(value);
      return value;
    } catch {
      return undefined;
    }
  },
};

/** A retry policy, in ms. */
export const policy: Kind<PublishRetryPolicy> = {
  is: "an object with maxRetries, intervalStart, intervalStep, intervalMax",
  read: (value, name) => {
    if (!isRecord(value)) return undefined;
    const given = Object.fromEntries(Object.entries(value).map(([key, part]) => [camelCase(key), part]));
    const { maxRetries = 0 } = given;
    const right = Object.keys(given).every((key) => Object.hasOwn(RETRY_POLICY, key)) &&
      (maxRetries === null || typeof maxRetries === "number" && maxRetries >= 0);
    return right ? readPolicy(given, name) : undefined;
  },
};

/** A kind of exchange. */
export const exchangeType: Kind<ExchangeType> = oneOf("direct", "topic", "fanout");

/** AMQP's default exchange is "", and so may a key be. */
export const anyText: Kind<string> = {
  is: "a text",
  read: (value) => typeof value === "string" ? value : undefined,
};
