/**
 * Instants as Celery writes them in `eta`, `expires` and `date_done`: ISO 8601 text, naive is UTC.
 *
 * @module
 */

/**
 * What dateutil's `isoparse` and Python 3.11 take and others write: a date, or a date and a time with `Z`, an offset, or nothing. Within
 * each of them dashes and colons stand everywhere or nowhere.
 */
const ISO = new RegExp(
  "^(\\d{4})(-?)(\\d{2})\\2(\\d{2})" +
    "(?:[T ](\\d{2})(?:(:?)(\\d{2})(?:\\6(\\d{2})(?:[.,](\\d{1,9}))?)?)?" +
    "(Z|[+-]\\d{2}(?::?\\d{2}(?::\\d{2})?)?)?)?$",
  "i",
);

/**
 * The instant in ms since the epoch, or undefined where the text is none (numbers, garbage, 30 February) or lies outside the years 1 to
 * 9999. Fractions below the millisecond are dropped; 24:00 is the next midnight.
 */
export function parseInstant(text: unknown): number | undefined {
  if (typeof text !== "string" || text.length > 40) return undefined;
  const found = ISO.exec(text);
  if (found === null) return undefined;
  const [, year, , month, day, hour = "0", , minute = "0", second = "0", fraction = "", zone] = found;
  const days = daysOf(Number(year), Number(month), Number(day));
  const clock = clockOf(
    Number(hour),
    Number(minute),
    Number(second),
    Number(fraction.slice(0, 3).padEnd(3, "0")),
  );
  const offset = offsetOf(zone);
  if (days === undefined || clock === undefined || offset === undefined) return undefined;
  return isInstant(days + clock) && isInstant(days + clock - offset) ? days + clock - offset : undefined;
}

function daysOf(year: number, month: number, day: number): number | undefined {
  if (year < 1 || month < 1 || month > 12 || day < 1) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 ? date.getTime() : undefined;
}

function clockOf(hour: number, minute: number, second: number, ms: number): number | undefined {
  if (hour === 24 && minute === 0 && second === 0 && ms === 0) return 86_400_000;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  return ((hour * 60 + minute) * 60 + second) * 1000 + ms;
}

function offsetOf(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === "Z" || zone === "z") return 0;
  const digits = zone.slice(1).replaceAll(":", "");
  const ms = clockOf(Number(digits.slice(0, 2)), Number(digits.slice(2, 4)), Number(digits.slice(4, 6)), 0);
  if (ms === undefined || ms === 86_400_000) return undefined;
  return zone.startsWith("-") ? -ms : ms;
}

/** The earliest and the last instant that Python's datetime can hold. */
const FIRST = -62_135_596_800_000;
const LAST = 253_402_300_799_999;

/** Whether Python's datetime can hold the instant (years 1 to 9999). */
export function isInstant(ms: number): boolean {
  return ms >= FIRST && ms <= LAST;
}

/**
 * The instant as `datetime.isoformat()` writes it: `2026-11-22T06:02:59.603000+00:00`, without a fraction where it is zero. Python 3.10
 * and older read 3 or 6 digits and no `Z`.
 *
 * @throws {RangeError} outside the years 1 to 9999.
 */
export function formatInstant(ms: number): string {
  if (!isInstant(ms)) throw new RangeError(`No instant that Python can hold: ${ms}.`);
  const text = new Date(ms).toISOString();
  return text.endsWith(".000Z") ? `${text.slice(0, 19)}+00:00` : `${text.slice(0, 23)}000+00:00`;
}
