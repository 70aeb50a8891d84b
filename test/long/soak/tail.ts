/**
 * Reads a record while it grows.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";

/** Between two looks, ms. */
const EVERY = 200;

/** What a record says so far. */
export class Tail implements Disposable {
  readonly file: string;
  /** Runs that began. */
  runs = 0;
  /** Tasks whose run came to its end. */
  readonly ended: Set<string> = new Set();
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;
  readonly #chunk = Buffer.alloc(1 << 16);
  #rest = "";
  /** When runs began, ascending; the last ones. */
  #begun: number[] = [];

  constructor(file: string) {
    this.file = file;
    this.#fd = openSync(file, "r");
    this.#timer = setInterval(() => this.#look(), EVERY);
  }

  /** When the first run after `since` began. */
  ranAfter(since: number): number | undefined {
    return this.#begun.find((at) => at > since);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    closeSync(this.#fd);
  }

  #look(): void {
    for (;;) {
      const count = readSync(this.#fd, this.#chunk);
      if (count === 0) return;
      const lines = (this.#rest + this.#chunk.toString("utf8", 0, count)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#heed(line);
    }
  }

  #heed(line: string): void {
    const [at = "", what = "", id = ""] = line.split(" ");
    if (what === "ran") this.ended.add(id);
    if (what !== "run") return;
    this.runs++;
    this.#begun.push(Number(at));
    if (this.#begun.length > 4000) this.#begun = this.#begun.slice(-2000);
  }
}
