import { expect, test } from "vitest";
import { Observers } from "../../src/lib/observers.ts";

test("a function that was added twice is told twice, and each time is taken back by itself", () => {
  const observers = new Observers<string>();
  const told: string[] = [];
  const observer = (event: string): void => void told.push(event);
  const once = observers.add(observer);
  using _again = observers.add(observer);
  observers.tell("a");
  once[Symbol.dispose]();
  once[Symbol.dispose]();
  observers.tell("b");
  expect(told).toEqual(["a", "a", "b"]);
});

test("one that is added while they are told hears of the next event first", () => {
  const observers = new Observers<string>();
  const late: string[] = [];
  observers.add((event) => void (event === "a" && observers.add((next) => void late.push(next))));
  observers.tell("a");
  observers.tell("b");
  expect(late).toEqual(["b"]);
});

test("one that another takes back while they are told is told no more", () => {
  const observers = new Observers<string>();
  const told: string[] = [];
  let second: Disposable | undefined;
  observers.add(() => second?.[Symbol.dispose]());
  second = observers.add((event) => void told.push(event));
  observers.tell("a");
  expect(told).toEqual([]);
});

test("what one throws comes up as a rejection that nobody handles, and the others are told", () => {
  const observers = new Observers<string>();
  const told: string[] = [];
  const error = new Error("by the test");
  observers.add(() => {
    throw error;
  });
  observers.add((event) => void told.push(event));
  const { reject } = Promise;
  const rejected: unknown[] = [];
  Promise.reject = (reason: unknown) => {
    rejected.push(reason);
    return new Promise<never>(() => {});
  };
  try {
    observers.tell("a");
  } finally {
    Promise.reject = reject;
  }
  expect([rejected, told]).toEqual([[error], ["a"]]);
});
