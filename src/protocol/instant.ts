/**
 * Instants as Celery writes them in `eta`, `expires` and `date_done`: ISO 8601 text, naive is UTC.
 *
 * @module
 */

/**
 * What dateutil's `isoparse` and Python 3.11 take and others write: a date, or a date and a time with `Z`, an offset, or nothing. Within
 * each of them dashes and colons stand everywhere or nowhere.
 */
const ISO =
  /^(\d{4})(-?)(\d\d)\2(\d\d)(?:[T ](\d\d)(?:(:?)([0-5]\d)(?:\6([0-5]\d)(?:[.,](\d{1,9}))?)?)?(?:Z|([+-])(\d\d)(?::?([0-5]\d)(?::([0-5]\d))?)?)?)?$/i;

const DAY = 86_400_000;

/**
 * The instant in ms since the epoch, or undefined where the text is none (numbers, garbage, 30 February) or lies outside the years 1 to
 * 9999. Fractions below the millisecond are dropped; 24:00 is the next midnight.
 */
export function parseInstant(text: unknown): number | undefined {
  const found = typeof text === "string" && text.length <= 40 ? ISO.exec(text) : null;
  if (found === null) return undefined;
  const [, year, , month, day, hour, , minute, second, fraction = "", sign, ...zone] = found;
  const midnight = new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const clock = span(hour, minute, second) + Number(`${fraction}000`.slice(0, 3));
  const offset = span(...zone);
  const local = midnight + clock;
  const ms = sign === "-" ? local + offset : local - offset;
  // 30 February is one of the first days of March.
  const right = new Date(midnight).getUTCMonth() === Number(month) - 1 && clock <= DAY && offset < DAY;
  return right && isInstant(local) && isInstant(ms) ? ms : undefined;
}

/** What the digits of a time of day make in ms. A day has 24 hours: more is for the caller to refuse. */
function span(hour = "0", minute = "0", second = "0"): number {
  return ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000;
}

/** The earliest and the last instant that Python's datetime can hold. */
const FIRST = -62_135_596_800_000;
const LAST = 253_402_300_799_999;

/** Whether Python's datetime can hold the instant (years 1 to 9999). */
export function isInstant(ms: number): boolean {
  return ms >= FIRST && ms <= LAST;
}

/**
 * The instant as `datetime.isoformat()` writes it: `2026-11-22T06:02:59.603000+00:00`, without a fraction where it is zero; undefined
 * outside the years 1 to 9999. Python 3.10 and older read 3 or 6 digits and no `Z`.
 */
export function instantText(ms: number): string | undefined {
  const text: string = new Date(ms).toJSON();
  // Other years are written with a sign, or are 0000; what is no date is null.
  return /^(?!0000)\d/.test(text) ? text.replace("Z", "000+00:00").replace(".000000", "") : undefined;
}

/**
 * As {@link instantText}, of an instant that Python can hold.
 *
 * @throws {RangeError} outside the years 1 to 9999.
 */
export function formatInstant(ms: number): string {
  const text = instantText(ms);
  if (text === undefined) throw new RangeError(`No instant that Python can hold: ${ms}.`);
  return text;
}
