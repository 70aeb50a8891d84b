/**
 * Ends and dead letters by the book, as plain lists: what P11 holds the reducer against.
 *
 * @module
 */

/** One entry of `x-death`, with its time in whole seconds since the epoch. */
export interface Death {
  readonly count: number;
  readonly reason: string;
  readonly queue: string;
  readonly time: number;
  readonly exchange: string;
  readonly key: string;
  readonly expiration: string | undefined;
}

export interface Letter {
  readonly text: string;
  readonly exchange: string;
  readonly key: string;
  readonly expiration: string | undefined;
  readonly deaths: readonly Death[];
}

interface Place {
  readonly letter: Letter;
  /** Its place among the queue's publications. */
  readonly seq: number;
  readonly end: number;
}

/** What a queue of the model is declared with. */
export interface Rules {
  readonly ttl?: number;
  readonly most?: number;
  /** Where the dead go: the queue itself, or the exchange "all", which leads to every queue. */
  readonly grave?: { readonly exchange: "" | "all" | "missing"; readonly key?: string };
}

interface Burial {
  readonly letter: Letter;
  readonly from: string;
  readonly reason: string;
}

/** What happened, for the coverage. */
export type Note =
  | "expired"
  | "maxlen"
  | "rejected"
  | "counted again"
  | "cycle left"
  | "no grave"
  | "kept key"
  | "own time taken off";

/** More deaths at one instant than any chain that ends. */
const MANY = 300;

/** Queues of the model. Two ends at one instant have no order among themselves: `tied` says that there was such a thing. */
export class Graves {
  readonly note: (what: Note) => void;
  now: number;
  tied = false;
  /** A message that was rejected once and has no time anywhere dies for ever. */
  endless = false;
  readonly #rules: Readonly<Record<string, Rules>>;
  readonly #ready: Map<string, Place[]>;
  #seq = 0;

  constructor(rules: Readonly<Record<string, Rules>>, now: number, note: (what: Note) => void) {
    this.#rules = rules;
    this.#ready = new Map(Object.keys(rules).map((name) => [name, []]));
    this.now = now;
    this.note = note;
  }

  ready(queue: string): readonly Place[] {
    return this.#ready.get(queue) ?? [];
  }

  publish(queue: string, text: string, expiration: string | undefined): void {
    this.#settle(this.#come(queue, { text, exchange: "", key: queue, expiration, deaths: [] }));
  }

  take(queue: string): Place | undefined {
    const place = this.#ready.get(queue)?.shift();
    this.#settle(this.#expire(queue));
    return place;
  }

  giveBack(queue: string, place: Place): void {
    this.#ready.get(queue)?.push(place);
    this.#ready.get(queue)?.sort((a, b) => a.seq - b.seq);
    this.#settle([...this.#trim(queue), ...this.#expire(queue)]);
  }

  reject(queue: string, { letter }: Place): void {
    this.#settle([{ letter, from: queue, reason: "rejected" }]);
  }

  /** The next instant at which a head ends. */
  next(): number {
    return Math.min(...[...this.#ready.values()].map(([head]) => head?.end ?? Infinity));
  }

  /** All heads that end by `to`, instant by instant. */
  wait(to: number): void {
    for (let at = this.next(); at <= to; at = this.next()) {
      this.now = Math.max(this.now, at);
      const queues = [...this.#ready].filter(([, [head]]) => head !== undefined && head.end <= this.now);
      this.tied ||= queues.length > 1;
      for (const [queue] of queues) this.#settle(this.#expire(queue));
    }
    this.now = to;
  }

  /** The dead are laid to rest one after the other; what dies of that stands behind them. */
  #settle(first: readonly Burial[]): void {
    const waiting = [...first];
    for (let burial = waiting.shift(), count = 0; burial !== undefined; burial = waiting.shift(), count++) {
      this.endless ||= count > MANY;
      if (this.endless) return;
      this.note(burial.reason as Note);
      for (const [queue, letter] of this.#bury(burial)) waiting.push(...this.#come(queue, letter));
    }
  }

  #bury({ letter, from, reason }: Burial): readonly (readonly [string, Letter])[] {
    const grave = this.#rules[from]?.grave;
    if (grave === undefined || grave.exchange === "missing") {
      this.note("no grave");
      return [];
    }
    if (letter.expiration !== undefined) this.note("own time taken off");
    if (grave.key === undefined) this.note("kept key");
    const key = grave.key ?? letter.key;
    const deaths = this.#told(letter, from, reason);
    const next: Letter = { ...letter, exchange: grave.exchange, key, expiration: undefined, deaths };
    const queues = grave.exchange === "all" ? [...this.#ready.keys()] : this.#ready.has(key) ? [key] : [];
    return queues.filter((queue) => reason === "rejected" || !this.#cycle(queue, deaths)).map((queue) =>
      [queue, next] as const
    );
  }

  #told({ deaths, exchange, key, expiration }: Letter, queue: string, reason: string): readonly Death[] {
    const known = deaths.find((death) => death.queue === queue && death.reason === reason);
    // The others are turned round.
    const others = deaths.filter((death) => death !== known).reverse();
    if (known !== undefined) this.note("counted again");
    const time = Math.floor(this.now / 1000);
    const fresh = known ?? { count: 0, reason, queue, time, exchange, key, expiration };
    return [{ ...fresh, count: fresh.count + 1 }, ...others];
  }

  #cycle(queue: string, deaths: readonly Death[]): boolean {
    const length = deaths.findIndex((death) => death.queue === queue) + 1;
    const found = length > 0 && !deaths.slice(0, length).some(({ reason }) => reason === "rejected");
    if (found) this.note("cycle left");
    return found;
  }

  #come(queue: string, letter: Letter): readonly Burial[] {
    const times = [
      this.#rules[queue]?.ttl,
      letter.expiration === undefined ? undefined : Number(letter.expiration),
    ];
    const end = this.now + Math.min(...times.map((time) => time ?? Infinity));
    this.#ready.get(queue)?.push({ letter, seq: ++this.#seq, end });
    return [...this.#trim(queue), ...this.#expire(queue)];
  }

  #trim(queue: string): readonly Burial[] {
    const places = this.#ready.get(queue) ?? [];
    const over = Math.max(0, places.length - (this.#rules[queue]?.most ?? Infinity));
    return places.splice(0, over).map(({ letter }) => ({ letter, from: queue, reason: "maxlen" }));
  }

  #expire(queue: string): readonly Burial[] {
    const places = this.#ready.get(queue) ?? [];
    const alive = places.findIndex(({ end }) => end > this.now);
    const dead = places.splice(0, alive < 0 ? places.length : alive);
    return dead.map(({ letter }) => ({ letter, from: queue, reason: "expired" }));
  }
}
