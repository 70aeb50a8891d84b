/**
 * The rules that lint cannot see, as patterns over the text of the sources that ship.
 *
 * @module
 */

/** One refused pattern. */
export interface TextRule {
  readonly name: string;
  readonly pattern: RegExp;
  /** Files that it holds for. */
  readonly files: RegExp;
  /** Files that may. */
  readonly but?: RegExp;
}

const SHIPPED = /^(mod\.ts|src\/|adapters\/)/;
const TESTS = /^test\/.*\.ts$/;
/** Platform is where time and chance come from; the CLI's bin is the process. */
const PORTS = /^src\/(lib\/platform|cli\/bin)\.ts$/;

export const TEXT_RULES: readonly TextRule[] = [
  { name: "the time of day from new Date()", pattern: /\bnew Date\(\s*\)/, files: SHIPPED, but: PORTS },
  { name: "the time of day from Date()", pattern: /(?<!\bnew )(?<![\w.])Date\(/, files: SHIPPED, but: PORTS },
  { name: "a global by globalThis", pattern: /\bglobalThis\b/, files: SHIPPED, but: PORTS },
  {
    name: "a timer of AbortSignal",
    pattern: /\bAbortSignal\s*(\.|\?\.|\[)\s*["']?timeout/,
    files: SHIPPED,
    but: PORTS,
  },
  {
    name: "a method taken off its object",
    pattern: /\{[^{}]*\b(now|random)\b[^{}]*\}\s*=\s*(Date|Math|performance)\b/,
    files: SHIPPED,
  },
  {
    name: "a switched-off check",
    // The one exception: the end of the socket's turn, which the amqp adapter's TCP client explains.
    pattern:
      /\b(oxlint|eslint|deno-lint)-(disable|ignore)(?!-next-line no-restricted-imports\nimport \{ setImmediate \} from "node:timers";)|@ts-(ignore|nocheck|expect-error)/,
    files: SHIPPED,
  },
  { name: "an unfinished thought", pattern: /\b(TODO|FIXME|XXX|HACK)\b/, files: SHIPPED },
  {
    name: "a type by import() of a path",
    pattern: /\btypeof import\("\.\.\/|\bimport\("\.\.\/[^"]*"\)\.[A-Z]/,
    files: SHIPPED,
  },
  { name: "require", pattern: /\brequire\s*\(/, files: SHIPPED },
  { name: "a retried test", pattern: /\bretry:\s*\d/, files: TESTS, but: /^test\/house\// },
  {
    name: "a test that is left out",
    pattern: /\b(test|it|describe)\.(only|skip|todo)\b/,
    files: TESTS,
    but: /^test\/house\//,
  },
];

/** Names of the rules that this file breaks. */
export function textFaults(file: string, text: string): string[] {
  return TEXT_RULES.filter((rule) =>
    rule.files.test(file) && !rule.but?.test(file) && rule.pattern.test(text)
  )
    .map((rule) => rule.name);
}
