/**
 * The end of a harness, and what was left behind.
 *
 * @module
 */
import { AssertionError } from "../assert.ts";
import { lineOf } from "./enqueued.ts";
import type { Lab } from "./lab.ts";

/** Stops the workers and ends the harness. Throws `AssertionError` for what was left behind, unless a failure was told before. */
export async function closeLab(lab: Lab): Promise<void> {
  const wasTold = lab.failed;
  try {
    const leaks = [...await unawaited(lab), ...await stopped(lab)];
    if (leaks.length === 0 || wasTold) return;
    const lines = ["The test left behind:", ...leaks.map((leak) => `  ${leak}`), lab.replay];
    throw new AssertionError(lines.join("\n"), { actual: leaks, expected: [] });
  } catch (error) {
    if (!wasTold) throw error;
  } finally {
    lab.close();
  }
}

/** Lets happen what is ready, and tells what was still being sent. */
async function unawaited(lab: Lab): Promise<readonly string[]> {
  const { bag, simulator } = lab;
  const before = bag.count;
  const underWay = bag.sent.filter(({ verdict }) => verdict === undefined);
  const begun = simulator.events;
  await lab.drive(simulator.settle());
  if (simulator.events === begun) return [];
  const fresh = bag.sent.slice(Math.max(0, bag.sent.length - (bag.count - before)));
  return [...underWay, ...fresh.filter(({ by }) => by === lab.client.name)].map((sent) => {
    const task = sent.read();
    return `a send that nobody awaited: ${task === undefined ? sent.name : lineOf(task)}`;
  });
}

/** Stops all that runs, and tells what that could not settle. */
async function stopped(lab: Lab): Promise<readonly string[]> {
  const living = lab.staff.filter(({ lives }) => lives);
  let held: readonly string[] = [];
  await lab.until("The end of the harness", async () => {
    await Promise.all(living.map(({ worker }) => worker.stop()));
    // What they gave back is still on its way.
    await lab.simulator.settle();
    held = unsettled(lab);
    await Promise.all([lab, ...living].map(({ app }) => app.close()));
  }, living);
  return [...held, ...timers(lab)];
}

/** What a queue handed out to a worker that has stopped, and nobody settled. */
function unsettled({ simulator }: Lab): readonly string[] {
  return simulator.world.queues.filter(({ unacked }) => unacked > 0).map(({ name, unacked }) =>
    `${unacked} deliver${unacked === 1 ? "y" : "ies"} of queue ${JSON.stringify(name)} that nobody settled`
  );
}

function timers({ simulator }: Lab): readonly string[] {
  return simulator.timers.map(({ at, owner, setAt }) =>
    `a timer of ${owner}, set at ${new Date(setAt).toISOString()}, due at ${new Date(at).toISOString()}`
  );
}
