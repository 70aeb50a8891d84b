/**
 * Events of one kind that keep their order: one direction of a link, the due timers of a node, its `soon`s.
 *
 * @module
 */
import type { Line } from "../../../adapters/memory/network.ts";
import { Ring } from "../../../adapters/memory/rabbit/ring.ts";
import type { Agenda, Gate, Track } from "./agenda.ts";

/** Events in their order; each happens by being given to `happen`. */
export class Lane<W> implements Line<W>, Track {
  readonly id: number;
  readonly apart: boolean;
  readonly gate: Gate;
  readonly #agenda: Agenda;
  readonly #happen: (event: W) => void;
  readonly #events: Ring<W> = new Ring<W>();
  readonly #order: Ring<number> = new Ring<number>();
  head: number = Infinity;
  #open = true;

  constructor(agenda: Agenda, gate: Gate, happen: (event: W) => void, apart = false) {
    this.#agenda = agenda;
    this.gate = gate;
    this.#happen = happen;
    this.apart = apart;
    this.id = agenda.enrol();
  }

  get size(): number {
    return this.#events.size;
  }

  /** The oldest event. */
  peek(): W | undefined {
    return this.#events.peek();
  }

  send(event: W): void {
    if (!this.#open) return;
    const order = this.#agenda.order();
    this.#events.push(event);
    this.#order.push(order);
    if (this.head !== Infinity) return;
    this.head = order;
    this.#agenda.note(this);
  }

  /** Takes the oldest event out. */
  shift(): W | undefined {
    const event = this.#events.shift();
    this.#order.shift();
    this.head = this.#order.peek() ?? Infinity;
    if (this.head === Infinity) this.#agenda.forget(this);
    return event;
  }

  step(): void {
    const event = this.shift();
    if (event !== undefined) this.#happen(event);
  }

  clear(): void {
    if (this.head === Infinity) return;
    this.#events.clear();
    this.#order.clear();
    this.head = Infinity;
    this.#agenda.forget(this);
  }

  /** Nothing more is taken; what is on its way still arrives. */
  seal(): void {
    this.#open = false;
  }

  /** Nothing happens on it any more. */
  shut(): void {
    this.clear();
    this.#open = false;
  }
}
