/**
 * Whether a process group stands still: SIGSTOP is sent at once, and heeded by each thread when it next looks.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** True where every thread of the group is stopped, and where the system does not tell. */
export function isStopped(group: number): boolean {
  if (!existsSync("/proc/self/stat")) return true;
  return numbersIn("/proc").filter((pid) => fieldsOf(`/proc/${pid}/stat`)[2] === String(group)).every((pid) =>
    numbersIn(`/proc/${pid}/task`).every((thread) => {
      const [state] = fieldsOf(`/proc/${pid}/task/${thread}/stat`);
      // Gone, or dead, is as still.
      return state === undefined || "TtZX".includes(state);
    })
  );
}

/** State, parent, group and more: what stands behind the name, which may hold anything. Empty for who is gone. */
function fieldsOf(file: string): string[] {
  try {
    const text = readFileSync(file, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

function numbersIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[0-9]+$/.test(name));
  } catch {
    return [];
  }
}
