/**
 * How a simulation ends that does not come to where it is driven.
 *
 * @module
 */
import { CeleriacError } from "../../errors.ts";
import type { Alarm } from "./timers.ts";

/** The world outside was waited for longer than `patience`, ms; `names` are sentences' subjects. */
export function impatience(names: readonly string[], patience: number): CeleriacError {
  return new CeleriacError("simulation-impatient", waitsOutside(names, patience), {
    hint: "Let it wait for less, replace what it waits for, or give more patience.",
  });
}

/** What these wait for longer than `ms`, as a sentence. */
export function waitsOutside(names: readonly string[], ms: number): string {
  const shown = names.slice(0, 5).join("; ");
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return `${shown}${more}: waits for something outside for more than ${ms / 1000} s.`;
}

/** Timers led to nothing but timers, `moves` times. */
export function endlessness(waiting: readonly Alarm[], moves: number): CeleriacError {
  const owners = [...new Set(waiting.map(({ owner }) => owner))].slice(0, 5).join(", ");
  return new CeleriacError(
    "simulation-endless",
    `Time moved ${moves} times, and nothing but timers happened (of ${owners || "nobody"}).`,
    { hint: "What never ends cannot be waited for: say how far time is to move." },
  );
}
