/**
 * Results as they travel inside results: Celery's nested tuples (`as_tuple`, `result_from_tuple`).
 *
 * @module
 */

/** `[[id, parent], null]` is one task, `[[groupId, parent], [children…]]` a group. */
export type ResultTuple = readonly [
  self: readonly [id: string, parent: ResultTuple | null],
  members: readonly ResultTuple[] | null,
];

/** The ids of the tasks in stored `children`; a group gives its members. What is not a result tuple is left out. */
export function childIds(children: readonly unknown[]): string[] {
  const ids: string[] = [];
  const open: unknown[] = [...children].reverse();
  while (open.length > 0) {
    const node = open.pop();
    if (!Array.isArray(node)) continue;
    const [self, members] = node as unknown[];
    if (Array.isArray(members)) open.push(...[...members].reverse());
    else if (Array.isArray(self) && typeof self[0] === "string") ids.push(self[0]);
  }
  return ids;
}
