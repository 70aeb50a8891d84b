/**
 * Those who wait for a simulation to come somewhere.
 *
 * @module
 */
import { deferred } from "../../lib/deferred.ts";
import type { Course, Driver } from "./driver.ts";

interface Ride {
  readonly driver: Driver;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The drivers of one simulation that have not arrived. */
export class Rides {
  readonly #rides: Set<Ride> = new Set<Ride>();

  /** How many there are. */
  get size(): number {
    return this.#rides.size;
  }

  /** Resolves when the driver has arrived; rejects where it never will. */
  async begin(driver: Driver): Promise<void> {
    const { promise, resolve, reject } = deferred<void>();
    const ride: Ride = { driver, resolve, reject };
    this.#rides.add(ride);
    try {
      await promise;
    } finally {
      this.#rides.delete(ride);
    }
  }

  /** This driver has arrived by itself. */
  dismiss(driver: Driver): void {
    this.#end([...this.#rides].filter((ride) => ride.driver === driver));
  }

  /** What they wait for in the world outside. */
  outside(): string[] {
    return [...this.#rides].map(({ driver }) => driver.outside()).filter((name) => name !== undefined);
  }

  /** The next instant at which something happens, or where one of them wants to stop; undefined where nobody lets time move. */
  nextStop(course: Course): number | undefined {
    let stop = course.next;
    let may = false;
    for (const { driver } of this.#rides) {
      may ||= driver.moves(course);
      if (driver.target !== undefined && driver.target > course.now) {
        may = true;
        stop = Math.min(stop, driver.target);
      }
    }
    return may && stop !== Infinity ? stop : undefined;
  }

  /** Tells those who have arrived; false when none has. */
  arrive(course: Course): boolean {
    const there = [...this.#rides].filter(({ driver }) => driver.arrived(course));
    this.#end(there);
    return there.length > 0;
  }

  /** Tells those who will never arrive; false when there is none. */
  despair(): boolean {
    let failed = false;
    for (const ride of [...this.#rides]) {
      const error = ride.driver.stuck?.();
      if (error === undefined) continue;
      this.#rides.delete(ride);
      ride.reject(error);
      failed = true;
    }
    return failed;
  }

  /** None of them will arrive. */
  fail(error: Error): void {
    for (const { reject } of this.#rides) reject(error);
    this.#rides.clear();
  }

  #end(rides: readonly Ride[]): void {
    for (const ride of rides) {
      this.#rides.delete(ride);
      ride.resolve();
    }
  }
}
