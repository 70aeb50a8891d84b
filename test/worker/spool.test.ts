import fc from "fast-check";
import { expect, test } from "vitest";
import { type Kept, Spool } from "../../src/worker/spool.ts";

const BOUNDS = { records: 3, bytes: 10 };

test("keeps the latest of each task, oldest first, within its bounds, and says what had to go", () => {
  const entries = fc.array(
    fc.record({ taskId: fc.constantFrom(..."abcde"), size: fc.nat(12), takes: fc.boolean() }),
    { maxLength: 30 },
  );
  fc.assert(fc.property(entries, (all) => {
    const spool = new Spool<Kept>(BOUNDS);
    let model: Kept[] = [];
    for (const { taskId, size, takes } of all) {
      const entry = { taskId, status: "SUCCESS", text: "x".repeat(size) };
      const before = [...model];
      model = [...model.filter((each) => each.taskId !== taskId), entry];
      const bytes = (): number => model.reduce((sum, { text }) => sum + text.length, 0);
      while (model.length > BOUNDS.records || bytes() > BOUNDS.bytes) model.shift();
      const gone = spool.add(entry);
      expect(new Set(gone)).toEqual(new Set([...before, entry].filter((each) => !model.includes(each))));
      if (takes && model[0] !== undefined) {
        expect(spool.delete(model[0])).toBe(true);
        expect(spool.delete(model[0])).toBe(false);
        model.shift();
      }
      expect([...spool]).toEqual(model);
      expect([spool.size, spool.bytes]).toEqual([model.length, bytes()]);
      for (const each of [...before, entry]) expect(spool.has(each)).toBe(model.includes(each));
    }
  }));
});
