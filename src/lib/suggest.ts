/**
 * "Did you mean …?" for names that are almost right.
 *
 * @module
 */

/** The known name nearest to `met`, or undefined where none is near (more than a third of it differs, and more than two letters). */
export function nearest(met: string, known: Iterable<string>): string | undefined {
  const wanted = folded(met);
  let best: string | undefined;
  let most = Math.max(2, wanted.length / 3);
  for (const name of known) {
    const distance = edits(wanted, folded(name));
    if (distance <= most) [best, most] = [name, distance - 1];
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

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`. */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const swapped = a[i] === b[j - 1] && a[i - 1] === b[j];
      next.push(Math.min(
        row[j + 1] as number + 1,
        next[j] as number + 1,
        row[j] as number + (a[i] === b[j] ? 0 : 1),
        swapped ? before[j - 1] as number + 1 : Infinity,
      ));
    }
    [before, row] = [row, next];
  }
  return row[b.length] as number;
}
