/**
 * "Did you mean …?" for names that are almost right.
 *
 * @module
 */

/** The known name nearest to `met`, or undefined where none is near (more than a third of it differs, and more than two letters). */
export function nearest(met: string, known: Iterable<string>): string | undefined {
  const wanted = folded(met);
  let best: string | undefined;
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const name of known) {
    const distance = edits(wanted, folded(name), least);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** `Did you mean "queue"?`, or undefined where nothing is near: made for the `hint` of an error. */
export function didYouMean(met: string, known: Iterable<string>): string | undefined {
  const name = nearest(met, known);
  return name === undefined ? undefined : `Did you mean ${JSON.stringify(name)}?`;
}

/** Case, dashes and underscores are what people get wrong first. */
function folded(name: string): string {
  return name.slice(0, 80).toLowerCase().replaceAll(/[-_]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`; at most `limit`. */
function edits(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? limit;
}
