/**
 * What goes wrong in a soak.
 *
 * @module
 */
import type { Proxy } from "../../support/proxy.ts";
import type { PrivateServer } from "../../support/servers.ts";
import { pause } from "../../support/wait.ts";
import type { Fault } from "./account.ts";
import type { Crew } from "./crew.ts";
import type { Shuffled } from "./random.ts";

/** Each comes once before any comes again. */
export const FAULTS = [
  "the broker is killed",
  "the broker is frozen",
  "a worker's link is cut",
  "all links are reset",
  "a worker's link is a black hole, then cut",
  "all links are a black hole that ends",
  "a worker is killed",
  "two workers are killed",
  "a worker is frozen",
] as const;

/** One of them. */
export type FaultKind = typeof FAULTS[number];

/** What faults are done to. */
export interface Struck {
  readonly broker: PrivateServer;
  readonly crew: Crew;
  /** The sender's link. */
  readonly feed: Proxy;
  readonly random: Shuffled<FaultKind>;
}

/** Does it, and resolves when it is over. */
export async function strike(kind: FaultKind, struck: Struck): Promise<Fault> {
  const { crew } = struck;
  const begin = Date.now();
  const touches = await act(kind, struck) ?? crew.names;
  return { kind, touches, begin, end: Date.now() };
}

/** The workers that it touched; undefined is all of them. */
async function act(
  kind: FaultKind,
  { broker, crew, feed, random }: Struck,
): Promise<readonly string[] | undefined> {
  const one = crew.members[random.between(0, crew.members.length - 1)] ?? crew.members[0];
  const victims = crew.members.slice(1);
  const victim = victims[random.between(0, victims.length - 1)] ?? one;
  const links = [...crew.members.map(({ proxy }) => proxy), feed];
  switch (kind) {
    case "the broker is killed":
      await broker.kill9();
      await pause(random.between(0, 4000));
      await broker.start();
      return undefined;
    case "the broker is frozen":
      await broker.pause();
      await pause(random.between(1000, 11_000));
      broker.resume();
      return undefined;
    case "a worker's link is cut":
      one.proxy.cut();
      return [one.name];
    case "all links are reset":
      for (const link of links) link.rst();
      return undefined;
    case "a worker's link is a black hole, then cut":
      one.proxy.blackhole("both");
      await pause(random.between(1000, 11_000));
      one.proxy.cut();
      one.proxy.heal();
      return [one.name];
    case "all links are a black hole that ends":
      for (const link of links) link.blackhole("both");
      await pause(random.between(1000, 11_000));
      for (const link of links) link.heal();
      return undefined;
    case "a worker is killed":
      await crew.kill(victim);
      return [victim.name];
    case "two workers are killed":
      await Promise.all(victims.slice(0, 2).map((each) => crew.kill(each)));
      return victims.slice(0, 2).map(({ name }) => name);
    case "a worker is frozen":
      victim.signal("SIGSTOP");
      await pause(random.between(1000, 11_000));
      victim.signal("SIGCONT");
      return [victim.name];
  }
}
