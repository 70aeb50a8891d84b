/**
 * Durations as they come in at the door: a bare number is seconds, as in Celery, and a string says its unit.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";

/** A length of time: a number of seconds, or a number with its unit (`"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"2d"`). */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const TEXT = /^([\d.]+)(ms|[smhd])$/;

/**
 * The duration in ms. `what` names the option in the error, `least` is in seconds.
 *
 * @throws {ConfigurationError} `duration-invalid`: not a number, less than `least`, not finite, or a text without a unit.
 */
export function toMs(value: Duration, what: string, least: number = 0): number {
  const [, count, unit = "s"] = typeof value === "number"
    ? ["", value]
    : typeof value === "string" && TEXT.exec(value) || [];
  // 0.07 * 1000 is 70.00000000000001: what is a whole number of microseconds is meant as one.
  const ms = Math.round(Number(count) * (UNITS[unit] as number) * 1000) / 1000;
  if (ms >= 1000 * least && ms < Infinity) return ms;
  // The value is not shown: a URL may have slipped in here, with its password.
  throw new ConfigurationError(
    "duration-invalid",
    `${what} is not a duration: seconds from ${least}, or a text such as "250ms", "10s", "1h".`,
  );
}
