/**
 * Instants as text in the app's time zone, as `datetime.isoformat()` writes them.
 *
 * @module
 */
import { formatInstant } from "../protocol/instant.ts";

/** Writes an instant (ms since the epoch) as ISO 8601 text with the zone's offset. */
export type InstantFormat = (ms: number) => string;

/** The writer for a zone: "UTC", an IANA name, or undefined for the host's own. Throws `RangeError` for a zone that the runtime does not know. */
export function instantFormat(zone: string | undefined): InstantFormat {
  if (zone !== undefined && UTC.has(zone.toUpperCase())) return formatInstant;
  const format = new Intl.DateTimeFormat("en-US", {
    ...(zone === undefined ? {} : { timeZone: zone }),
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (ms) => {
    const offset = wallClock(format, ms) - Math.floor(ms / 1000) * 1000;
    // formatInstant of the shifted instant is the wall clock's text with UTC's offset, which is then replaced.
    return `${formatInstant(ms + offset).slice(0, -6)}${offsetText(offset)}`;
  };
}

const UTC: ReadonlySet<string> = new Set(["UTC", "ETC/UTC", "ZULU", "GMT", "UCT"]);

/** What the zone's clock shows at the instant, read as if it were UTC: ms, whole seconds. */
function wallClock(format: Intl.DateTimeFormat, ms: number): number {
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

function offsetText(offset: number): string {
  const seconds = Math.abs(offset) / 1000;
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const text = `${offset < 0 ? "-" : "+"}${two(seconds / 3600)}:${two((seconds / 60) % 60)}`;
  // Zones had odd seconds before they had hours.
  return seconds % 60 === 0 ? text : `${text}:${two(seconds % 60)}`;
}
