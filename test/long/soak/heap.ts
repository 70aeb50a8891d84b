/**
 * Whether a heap grows: the straight line through its samples. Pure.
 *
 * @module
 */

/** One sample: ms, bytes. */
export type Sample = readonly [at: number, bytes: number];

/** The line, and how sure it is. */
export interface Line {
  readonly samples: number;
  /** Bytes. */
  readonly mean: number;
  /** Bytes a ms, and its standard error. */
  readonly slope: number;
  readonly error: number;
  /** What the line gains from the first sample to the last, as a part of the mean. */
  readonly growth: number;
}

/** Least squares. */
export function lineThrough(samples: readonly Sample[]): Line {
  const count = samples.length;
  const meanAt = mean(samples.map(([at]) => at));
  const meanBytes = mean(samples.map(([, bytes]) => bytes));
  let spread = 0;
  let common = 0;
  for (const [at, bytes] of samples) {
    spread += (at - meanAt) ** 2;
    common += (at - meanAt) * (bytes - meanBytes);
  }
  const slope = spread === 0 ? 0 : common / spread;
  const residue = samples.reduce(
    (sum, [at, bytes]) => sum + (bytes - meanBytes - slope * (at - meanAt)) ** 2,
    0,
  );
  const error = count < 3 || spread === 0 ? Infinity : Math.sqrt(residue / (count - 2) / spread);
  const [first = [0, 0]] = samples;
  const last = samples.at(-1) ?? first;
  return { samples: count, mean: meanBytes, slope, error, growth: slope * (last[0] - first[0]) / meanBytes };
}

/** Flat: the line gains less than a tenth of the mean, or no more than chance explains (two standard errors). */
export function isFlat({ error, growth, slope }: Line): boolean {
  return growth < 0.1 || slope <= 2 * error;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
