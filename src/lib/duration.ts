/**
 * Durations as they come in at the door: a bare number is seconds, as in Celery, and a string says its unit.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";

/** A length of time: a number of seconds, or a number with its unit (`"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"2d"`). */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const TEXT = /^(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d)$/;

/**
 * The duration in ms. `what` names the option in the error.
 *
 * @throws {ConfigurationError} `duration-invalid`: not a number, negative, not finite, or a text without a unit.
 */
export function toMs(value: Duration, what: string): number {
  const ms = typeof value === "number" ? fromSeconds(value) : fromText(value);
  if (ms >= 0 && Number.isFinite(ms)) return ms;
  throw new ConfigurationError("duration-invalid", `${what} is not a duration: ${shown(value)}.`, {
    hint:
      'Give seconds as a number that is not negative, or a text with a unit, such as "250ms", "10s", "5m", "1h", "2d".',
  });
}

function fromSeconds(seconds: number): number {
  const ms = seconds * 1000;
  // 0.07 * 1000 is 70.00000000000001: what is a whole number of microseconds is meant as one.
  return Math.round(ms * 1000) / 1000;
}

function fromText(text: unknown): number {
  const found = typeof text === "string" ? TEXT.exec(text) : null;
  if (found === null) return NaN;
  return Math.round(Number(found[1]) * (UNITS.get(found[2] ?? "") ?? NaN) * 1000) / 1000;
}

function shown(value: unknown): string {
  // A URL may have slipped in here, with its password.
  if (typeof value === "string") {
    return /[:@]/.test(value) ? "another text" : JSON.stringify(value.slice(0, 40));
  }
  return typeof value === "number" ? String(value) : typeof value;
}
