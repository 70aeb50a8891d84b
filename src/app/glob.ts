/**
 * Globs of task names, as Python's `fnmatch` reads them: `*`, `?`, `[seq]`, `[!seq]`.
 *
 * @module
 */

/** What the whole name must match. An interior star takes as little as it can and never gives back: no pattern takes long. */
export function glob(pattern: string): RegExp {
  const parts = partsOf(Array.from(pattern));
  const [first = "", ...others] = split(parts);
  const source = others.map((fixed, at) =>
    at === others.length - 1 ? `.*${fixed}` : `(?=(.*?${fixed}))\\${at + 1}`
  );
  return new RegExp(`^${first}${source.join("")}$`, "su");
}

/** Undefined stands for a star. */
type Part = string | undefined;

function partsOf(pattern: readonly string[]): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const letter = pattern[at] as string;
    if (letter === "*") parts.push(undefined);
    else if (letter === "?") parts.push(".");
    else {
      const end = letter === "[" ? closing(pattern, at + 1) : -1;
      parts.push(end < 0 ? code(letter) : set(pattern.slice(at + 1, end)));
      if (end >= 0) at = end;
    }
  }
  return parts;
}

/** What stands between the stars; a row of stars is one. */
function split(parts: readonly Part[]): string[] {
  const fixed = [""];
  parts.forEach((part, at) => {
    if (part !== undefined) fixed[fixed.length - 1] += part;
    else if (at === 0 || parts[at - 1] !== undefined) fixed.push("");
  });
  return fixed;
}

/** Where the set ends that begins at `from`: a bracket that stands first is one of its letters. */
function closing(pattern: readonly string[], from: number): number {
  const first = pattern[from] === "!" ? from + 1 : from;
  return pattern.indexOf("]", pattern[first] === "]" ? first + 1 : first);
}

function set(letters: readonly string[]): string {
  const negated = letters[0] === "!";
  const source = rangesOf(chunksOf(negated ? letters.slice(1) : letters));
  if (source === "") return negated ? "." : "(?!)";
  return `[${negated ? "^" : ""}${source}]`;
}

/** The letters between hyphens that make a range; a hyphen that stands first, last or right behind a range is a letter. */
function chunksOf(letters: readonly string[]): string[][] {
  const chunks: string[][] = [];
  let from = 0;
  for (let at = letters.indexOf("-", 1); at > 0; at = letters.indexOf("-", at + 3)) {
    chunks.push(letters.slice(from, at));
    from = at + 1;
  }
  const last = letters.slice(from);
  const before = chunks.at(-1);
  if (last.length > 0 || before === undefined) chunks.push(last);
  else before.push("-");
  return chunks;
}

/** A range whose end stands before its beginning holds nothing. */
function rangesOf(chunks: readonly (readonly string[])[]): string {
  const kept = [...chunks];
  for (let at = kept.length - 1; at > 0; at--) {
    const [before, after] = [kept[at - 1] ?? [], kept[at] ?? []];
    if (point(before.at(-1)) > point(after[0])) {
      kept.splice(at - 1, 2, [...before.slice(0, -1), ...after.slice(1)]);
    }
  }
  return kept.map((chunk) => chunk.map(code).join("")).join("-");
}

function point(letter: string | undefined): number {
  return letter?.codePointAt(0) ?? -1;
}

function code(letter: string): string {
  return `\\u{${point(letter).toString(16)}}`;
}
