/**
 * A sweep of a consumer of ours with steps of others between its commands, and what it may do.
 *
 * @module
 */
import { RESTORE } from "../../../adapters/redis/lease/scripts.ts";
import type { Consumer } from "./lease-consumer.ts";
import { type Scene, TIMES } from "./lease-scene.ts";
import { byInstant, ownerOf } from "./model.ts";
import type { Step } from "./steps.ts";
import { copyOf, describeWorld, type World } from "./world.ts";

/** Looks and acts with steps of others between. What it puts back, nobody must be working on. */
export async function sweep(
  scene: Scene,
  one: Consumer,
  inside: readonly Step[],
  act: (step: Step) => Promise<void>,
): Promise<void> {
  const rest = [...inside];
  let latest = -Infinity;
  let between = false;
  one.carrier.before = async () => {
    latest = Math.max(latest, scene.nowOf(one));
    const step = rest.shift();
    if (step === undefined) return;
    const { before, after } = one.carrier;
    one.carrier.before = () => Promise.resolve();
    await act(step);
    one.carrier.before = before;
    one.carrier.after = after;
    between = true;
    latest = Math.max(latest, scene.nowOf(one));
  };
  one.carrier.after = async (commands, answers) => {
    const before = copyOf(scene.model.world);
    const isAct = commands.some(([, script]) => script === RESTORE.sha || script === RESTORE.text);
    const world = await scene.reader.read(scene.ids);
    if (isAct) {
      swept(scene, before, world, latest - TIMES.visibilityTimeout);
      scene.note("a sweep came too late for an entry", String(answers[0]).includes("0"));
      scene.note("something happened between a sweep's look and its act", between);
      scene.model.world = world;
    }
    await scene.check(`${one.id} sweeps${isAct ? ` and restores ${String(answers[0])}` : ""}`, world);
  };
  try {
    await one.sweeper.sweep();
  } finally {
    one.carrier.before = () => Promise.resolve();
    one.carrier.after = () => Promise.resolve();
  }
}

/** What a sweep's act may do: entries that nobody works on go to the front of their lists, the oldest to the very front. */
function swept(scene: Scene, before: World, after: World, expired: number): void {
  const gone = [...before.held].filter(([tag]) => !after.held.has(tag));
  const fronts = new Map<string, (readonly [tag: string, instant: number])[]>();
  for (const [tag, entry] of gone) {
    const owner = ownerOf(tag, scene.ids);
    const orphan = owner !== undefined && !before.beats.has(owner);
    if (entry.score > expired && !orphan) {
      scene.fail(
        "a sweep took what somebody works on",
        `${tag}, whose instant is ${entry.score}, at ${expired}`,
      );
    }
    scene.note(
      "swept: the visibility timeout of kombu's was over",
      owner === undefined && !tag.startsWith("celeriac:"),
    );
    scene.note("swept: the visibility timeout of ours was over", owner !== undefined && !orphan);
    scene.note("swept: a consumer of ours was gone", orphan);
    scene.note("swept: a parked message that nobody took", tag.startsWith("celeriac:park:"));
    const home = scene.model.homeOf(entry);
    const front = fronts.get(home) ?? [];
    fronts.set(home, front);
    front.push([tag, entry.score]);
    before.held.delete(tag);
  }
  for (const [key, front] of fronts) {
    const messages = new Map(gone.map(([tag, { message }]) => [tag, message]));
    const list = after.lists.get(key) ?? [];
    const orders = [front.toSorted(byInstant), front.toSorted(([x], [y]) => x < y ? -1 : 1)]
      .map((order) => order.map(([tag]) => messages.get(tag)).join(" "));
    const found = list.slice(0, front.length).join(" ");
    if (!orders.includes(found)) {
      scene.fail("a sweep's order", `${key} begins with ${found}, not with ${orders[0]}`);
    }
    before.lists.set(key, [...list.slice(0, front.length), ...before.lists.get(key) ?? []]);
  }
  scene.note("a sweep put several into one list", [...fronts.values()].some((front) => front.length > 1));
  // A tag without an entry is swept out, whoever left it.
  for (const tag of before.strays.keys()) if (!after.strays.has(tag)) before.strays.delete(tag);
  const [wanted, found] = [describeWorld(before), describeWorld(after)];
  if (wanted !== found) scene.fail("a sweep did more than it may", `${found}\nnot\n${wanted}`);
}
