/**
 * Steps and differences for human eyes.
 *
 * @module
 */
import type { Step } from "./step.ts";

/** One line: the slot, what is done, and whatever is not false or empty. */
export function stepText({ do: what, slot, ...rest }: Step): string {
  const words = Object.entries(rest).filter(([, value]) => value !== false && value !== undefined).flatMap(
    ([key, value]: [string, unknown]) => {
      if (value === true) return [key];
      if (typeof value === "object" && value !== null && Object.keys(value).length === 0) return [];
      return [`${key}=${typeof value === "string" ? value : JSON.stringify(value)}`];
    },
  );
  return `  ${slot}: ${what} ${words.join(" ")}`.trimEnd();
}

/** The places where two values differ; of lists the first differing entry. */
export function differences(fake: unknown, real: unknown): readonly string[] {
  const lines: string[] = [];
  const visit = (path: string, a: unknown, b: unknown): void => {
    if (JSON.stringify(a) === JSON.stringify(b)) return;
    if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
      lines.push(`${path}`, `  reducer:  ${JSON.stringify(a)}`, `  RabbitMQ: ${JSON.stringify(b)}`);
      return;
    }
    const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      visit(`${path} ${key}`.trimStart(), left[key], right[key]);
    }
  };
  visit("", JSON.parse(JSON.stringify(fake)), JSON.parse(JSON.stringify(real)));
  return lines;
}
