/**
 * edge-runtime's VM, strict: the code is the VM's own, so that it sees neither process nor Buffer, and no code may come from a string.
 *
 * @module
 */
import { EdgeVM } from "@edge-runtime/vm";
import { bundle } from "../support/bare/bundle.ts";
import type { Answer } from "../support/edge/handler.ts";

/** A VM with a handler. */
export interface Host {
  /** The answer to a request, as JSON. */
  ask(path: string): Promise<Answer>;
}

/** @param code TypeScript whose default export is a handler; the package's names lead to the source */
export async function edgeRuntime(code: string): Promise<Host> {
  const script = code.replace("export default", "const handler =") +
    "\naddEventListener('fetch', (event: any) => event.respondWith(handler.fetch(event.request)));";
  const vm = new EdgeVM({ initialCode: await bundle(script, { format: "iife" }) });
  return {
    ask: async (path) => await (await vm.dispatchFetch(`http://edge${path}`)).json() as Answer,
  };
}
