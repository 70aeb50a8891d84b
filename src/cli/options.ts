/**
 * Values of command-line options: text in, checked value out, one clear sentence otherwise.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";
import { type Duration, toMs } from "../lib/duration.ts";
import { LOG_LEVELS } from "../lib/logger.ts";
import type { LogLevel } from "../lib/logger.ts";
import { decodeJson } from "../protocol/json.ts";
import type { Address } from "./host.ts";

/** A JSON array, as `--args` takes it. */
export function jsonArray(text: string): unknown[] {
  const value = json(text);
  if (!Array.isArray(value)) throw new InvalidArgumentError(`${text} is not a JSON array.`);
  return value;
}

/** A JSON object, as `--kwargs` takes it. */
export function jsonObject(text: string): Record<string, unknown> {
  const value = json(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError(`${text} is not a JSON object.`);
  }
  return value as Record<string, unknown>;
}

function json(text: string): unknown {
  try {
    // Not JSON.parse: large integers stay whole.
    return decodeJson(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? `Not JSON: ${error.message}.` : "Not JSON.");
  }
}

/** A list with commas; empty parts are dropped. A repeated option adds to it. */
export function list(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(",").map((part) => part.trim()).filter((part) => part !== "")];
}

/** One of Python's level names, in any case. */
export function level(text: string): LogLevel {
  const found = LOG_LEVELS.find((name) => name === text.toLowerCase());
  if (found === undefined) {
    throw new InvalidArgumentError(
      `It is one of ${LOG_LEVELS.map((name) => name.toUpperCase()).join(", ")}.`,
    );
  }
  return found;
}

/** A whole number of at least `least`. */
export function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`It is a whole number from ${least} up.`);
    }
    return value;
  };
}

/** Seconds, with a fraction or not. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) {
    throw new InvalidArgumentError("It is a number of seconds.");
  }
  return value;
}

/** A point in time in ISO 8601; without a zone it is UTC, as in Celery. */
export function instant(text: string): string {
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(Date.parse(text))) {
    throw new InvalidArgumentError("It is an ISO 8601 time, as 2026-11-22T06:00:00+00:00.");
  }
  return text;
}

/** Seconds from now, or a point in time. */
export function secondsOrInstant(text: string): number | Date {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(text) || !text.includes("T") ? text : `${text}Z`;
  return new Date(instant(zoned));
}

/** `8080`, `0.0.0.0:8080`, `[::1]:8080`; without a host it is this machine alone. */
export function address(text: string): Address {
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) throw new InvalidArgumentError("It is a port, or host:port.");
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port };
}

/** A duration: seconds, or a text with its unit. */
export function duration(text: string): Duration {
  const value = /^[\d.]+$/.test(text) ? Number(text) : text as Duration;
  try {
    toMs(value, "It", 0.001);
  } catch {
    throw new InvalidArgumentError('It is a number of seconds, or a text such as "5m".');
  }
  return value;
}
