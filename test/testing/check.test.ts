import { describe, expect, test } from "vitest";
import { check, type CheckOptions } from "../../src/testing/check.ts";
import { History } from "../../src/testing/history.ts";
import { type Story, story } from "./story.ts";

/** "I1 a", the rules that did not hold and the tasks that they name. */
function broken(tell: (story: Story) => void, options?: CheckOptions): string[] {
  const report = check(story(tell), options);
  return report.violations.map(({ rule, task }) => task === undefined ? rule : `${rule} ${task}`);
}

const good: Record<string, (story: Story) => void> = {
  "early and late tasks that run once": (s) => s.confirmed("a", "b").early("a").late("b").worker("stopped"),
  "a message that was given back and came again": (s) =>
    s.confirmed("a").deliver("a").settle("a", "requeue").worker("stopped").worker("started", "w2")
      .late("a", "w2"),
  "a task that expired": (s) =>
    s.confirmed("a").deliver("a").add("w1", { is: "dismissed", task: "a", delivery: 1, why: "expired" })
      .settle("a"),
};

describe("what is well", () => {
  for (const [what, tell] of Object.entries(good)) {
    test(what, () => expect(check(story(tell))).toMatchObject({ ok: true, violations: [], lost: [] }));
  }
});

describe("total queue", () => {
  test("what was confirmed and never run is lost", () => {
    const report = check(story((s) => s.confirmed("a", "b").late("a")));
    expect(report).toMatchObject({ ok: false, attempted: 2, confirmed: 2, lost: ["b"] });
    expect(report.violations).toMatchObject([{ rule: "I1", task: "b" }]);
  });

  test("what was not confirmed may be lost, and is recovered where it runs", () => {
    const report = check(
      story((s) =>
        s.publish("a").publish("b").fault("cut", ["a", "b"], "client").verdict("b", "unknown")
          .add("client", { is: "verdict", task: "a", publish: 1, verdict: "unknown" }).late("a")
      ),
    );
    expect(report).toMatchObject({ ok: true, confirmed: 0, lost: [], recovered: ["a"] });
  });

  test("what was never published is unexpected", () => {
    const report = check(story((s) => s.late("a")));
    expect(report).toMatchObject({ ok: false, unexpected: ["a"] });
    expect(report.violations).toMatchObject([{ rule: "I3", task: "a" }]);
  });

  test("a second run is explained by a fault that names the task, and by no other", () => {
    const twice = (touched: string) => (s: Story) =>
      s.confirmed("a").deliver("a").accept("a", true).start("a", true).fault("cut", [touched]).lose("a").end(
        "a",
        true,
      )
        .store("a").settle("a", "ack", "stale").late("a");
    expect(check(story(twice("a")))).toMatchObject({
      ok: true,
      duplicated: { explained: ["a"], unexplained: [] },
    });
    expect(check(story(twice("b")))).toMatchObject({
      ok: false,
      duplicated: { explained: [], unexplained: ["a"] },
    });
  });

  test("two messages of one task may both run", () => {
    const report = check(
      story((s) =>
        s.publish("a").fault("loseConfirm", ["a"], "client").verdict("a", "unknown").confirmed("a").late("a")
          .late("a")
      ),
      { repeated: () => true },
    );
    expect(report).toMatchObject({ ok: true, duplicated: { explained: ["a"] } });
  });

  test("a task whose worker was killed between its early ack and its run is forfeited, not lost", () => {
    const report = check(
      story((s) =>
        s.confirmed("a").deliver("a").settle("a").accept("a", false).fault("kill", []).worker("killed")
      ),
    );
    expect(report).toMatchObject({ ok: true, lost: [], forfeited: ["a"] });
  });

  test("acked late, it is lost", () => {
    const report = check(
      story((s) =>
        s.confirmed("a").deliver("a").accept("a", true).settle("a").fault("kill", []).worker("killed")
      ),
    );
    expect(report).toMatchObject({ ok: false, lost: ["a"], forfeited: [] });
  });
});

describe("I1", () => {
  test("a message that nobody settles", () => {
    expect(broken((s) => s.confirmed("a").deliver("a").accept("a", true).start("a", true).end("a", true)))
      .toEqual([
        "I1 a",
      ]);
  });

  test("one that the broker lost is none, where it had confirmed nothing and died without storing", () => {
    const dies = (s: Story, detail: string): Story =>
      s.deliver("a").fault("restart", ["a"], "", detail).lose("a").verdict("a", "unknown");
    expect(broken((s) => dies(s.publish("a"), "dirty"))).toEqual([]);
    expect(broken((s) => dies(s.publish("a"), ""))).toEqual(["I1 a"]);
    expect(broken((s) => s.confirmed("a").deliver("a").fault("restart", ["a"], "", "dirty").lose("a")))
      .toEqual(["I1 a", "I1 a"]);
  });

  test("one that went back and never came again: by a loss, a requeue, a stale ack, a death", () => {
    const run = (s: Story): Story => s.confirmed("a").deliver("a").accept("a", true).start("a", true);
    expect(broken((s) => run(s).fault("cut", ["a"]).lose("a").end("a", true))).toEqual(["I1 a"]);
    expect(broken((s) => s.confirmed("a").deliver("a").settle("a", "requeue"))).toEqual(["I1 a", "I1 a"]);
    expect(broken((s) => run(s).end("a", true).fault("cut", ["a"]).settle("a", "ack", "stale"))).toEqual([
      "I1 a",
    ]);
    expect(broken((s) => run(s).fault("kill", ["a"]).worker("killed"))).toEqual(["I1 a"]);
  });

  test("one whose ack was under way when its worker died may be gone, also where a park of it had failed before", () => {
    const held = (s: Story): Story =>
      s.confirmed("a").deliver("a").add("w1", { is: "settling", task: "a", delivery: 1, as: "park" })
        .add("w1", { is: "settled", task: "a", delivery: 1, as: "park", outcome: "failed" })
        .accept("a", true).start("a", true).end("a", true).store("a");
    expect(broken((s) => held(s).settling("a").fault("kill", []).worker("killed"))).toEqual([]);
    expect(broken((s) => held(s).fault("kill", []).worker("killed"))).toEqual(["I1 a"]);
  });

  test("one that the broker took back before its worker read it came again before that", () => {
    expect(
      broken((s) =>
        s.confirmed("a").fault("drop", ["a"], "w1", "held").late("a", "w2").deliver("a").lose("a")
      ),
    ).toEqual([]);
    expect(broken((s) => s.confirmed("a").fault("drop", ["a"], "w1", "held").deliver("a").lose("a"))).toEqual(
      [
        "I1 a",
        "I1 a",
      ],
    );
  });

  test("one that is acked or rejected though nothing was done with it", () => {
    const seen = broken((s) => s.confirmed("a", "b").late("a").deliver("b").settle("b"));
    expect(seen).toEqual(["I1 b", "I1 b"]);
    expect(broken((s) => s.confirmed("a").deliver("a").settle("a", "reject"))).toEqual(["I1 a", "I1 a"]);
  });
});

describe("I2", () => {
  test("an early task that begins without its ack", () => {
    const begins = (s: Story): Story => s.confirmed("a").deliver("a");
    expect(broken((s) => begins(s).accept("a", false).start("a", false).end("a", false).settle("a"))).toEqual(
      ["I2 a"],
    );
    expect(
      broken((s) =>
        begins(s).fault("cut", ["a"]).settle("a", "ack", "stale").start("a", false).end("a", false).early("a")
      ),
    ).toContain("I2 a");
  });

  test("an early task that runs again, though its ack was not on its way when the link went", () => {
    const again = (s: Story): Story =>
      s.confirmed("a").deliver("a").fault("cut", ["a"]).lose("a").link("up").early("a").early("a");
    expect(broken(again)).toContain("I2 a");
    expect(broken((s) => s.confirmed("a").early("a").fault("cut", ["a"]).early("a"))).toEqual([]);
  });
});

describe("I3", () => {
  test("a message that changed on its way", () => {
    expect(broken((s) => s.confirmed("a").deliver("a", "w1", { digest: 2 }).settle("a", "requeue").late("a")))
      .toEqual([
        "I3 a",
      ]);
  });

  test("one that came before it was published", () => {
    expect(broken((s) => s.late("a").confirmed("a"))).toEqual(["I3 a"]);
  });
});

describe("I4", () => {
  test("a delivery that is settled twice", () => {
    expect(broken((s) => s.confirmed("a").late("a").settle("a", "ack", "failed"))).toEqual(["I4 a"]);
  });

  test("a park that failed may be followed by another settlement", () => {
    expect(
      broken((s) =>
        s.confirmed("a").deliver("a").add("w1", { is: "settling", task: "a", delivery: 1, as: "park" })
          .add("w1", { is: "settled", task: "a", delivery: 1, as: "park", outcome: "failed" })
          .settle("a", "requeue").late("a")
      ),
    ).toEqual([]);
  });

  test("an ack that goes out after the link went, or is said to", () => {
    const lost = (s: Story): Story =>
      s.confirmed("a").deliver("a").accept("a", true).start("a", true).end("a", true);
    expect(broken((s) => lost(s).store("a").fault("cut", ["a"]).lose("a").settle("a").late("a"))).toEqual([
      "I4 a",
    ]);
    expect(
      broken((s) => lost(s).store("a").fault("cut", ["a"]).lose("a").settle("a", "ack", "stale").late("a")),
    ).toEqual(
      [],
    );
  });

  test("a task that begins after its link went", () => {
    const seen = broken((s) =>
      s.confirmed("a").deliver("a").fault("cut", ["a"]).lose("a").accept("a", true).start("a", true).end(
        "a",
        true,
      ).late(
        "a",
      )
    );
    expect(seen).toContain("I4 a");
  });
});

describe("I5", () => {
  test("SUCCESS that does not stay", () => {
    const over = (outcome: "stored" | "kept") => (s: Story) =>
      s.confirmed("a").late("a").store("a", "FAILURE", outcome, "w2");
    expect(broken(over("stored"))).toEqual(["I5 a"]);
    expect(broken(over("kept"))).toEqual([]);
  });

  test("a store that began before SUCCESS was there", () => {
    expect(
      broken((s) =>
        s.confirmed("a").deliver("a").accept("a", true).start("a", true).storing("a", "STARTED").end(
          "a",
          true,
        )
          .storing("a").stored("a").stored("a", "STARTED", "stored", "w1", 1).settle("a")
      ),
    ).toEqual([]);
  });
});

describe("I6", () => {
  const run = (s: Story): Story => s.confirmed("a").deliver("a").accept("a", true).start("a", true);

  test("a late ack before the end of the run", () => {
    expect(broken((s) => run(s).settle("a").end("a", true).store("a"))).toContain("I6 a");
  });

  test("a late ack before the result is stored", () => {
    expect(broken((s) => run(s).end("a", true).settle("a").store("a"))).toEqual(["I6 a"]);
    expect(broken((s) => run(s).end("a", true).storing("a").settle("a").stored("a"))).toEqual(["I6 a"]);
  });

  test("a store that fails must be told", () => {
    const failed = (s: Story): Story => run(s).end("a", true).store("a", "SUCCESS", "failed");
    expect(broken((s) => failed(s).settle("a"))).toEqual(["I6 a"]);
    expect(
      broken((s) => failed(s).add("w1", { is: "told", task: "a", code: "result-store-failed" }).settle("a")),
    ).toEqual(
      [],
    );
  });
});

describe("I10 and ETA", () => {
  test("a task that begins after it expired, or before its time", () => {
    expect(broken((s) => s.publish("a", { expires: 1500 }).verdict("a", "confirmed").wait(1000).late("a")))
      .toEqual([
        "I10 a",
      ]);
    expect(broken((s) => s.publish("a", { eta: 5000 }).verdict("a", "confirmed").late("a"))).toEqual([
      "eta a",
    ]);
  });

  test("by the clock of its worker", () => {
    expect(
      broken((s) =>
        s.fault("skew", [], "w1", "5000").publish("a", { eta: 5000 }).verdict("a", "confirmed").late("a")
      ),
    ).toEqual([]);
    expect(
      broken((s) =>
        s.publish("a", { expires: 5000 }).verdict("a", "confirmed").fault("skew", [], "w1", "5000").late("a")
      ),
    ).toEqual(["I10 a"]);
    expect(
      broken((s) =>
        s.publish("a", { eta: 5000 }).verdict("a", "confirmed").fault("skew", [], "w2", "5000").late("a")
      ),
    ).toEqual(["eta a"]);
  });
});

describe("I11", () => {
  const retry = (s: Story, retries: number): Story => s.publish("a", { retries }).verdict("a", "confirmed");

  test("a retry comes after a run that has ended, once for each", () => {
    const once = (s: Story): Story => retry(s.confirmed("a").late("a"), 1).deliver("a", "w1", { retries: 1 });
    expect(broken((s) => once(s).accept("a", false).settle("a").start("a", false).end("a", false))).toEqual(
      [],
    );
    expect(broken((s) => retry(once(s).accept("a", false).settle("a").start("a", false).end("a", false), 1)))
      .toEqual(["I11 a"]);
    expect(broken((s) => retry(s.confirmed("a"), 1).late("a").late("a"))).toContain("I11 a");
  });

  test("there are no more of them than the task may have", () => {
    const told = (s: Story): Story => retry(s.confirmed("a").late("a"), 1).late("a", "w1", { retries: 1 });
    expect(broken(told, { maxRetries: 1 })).toEqual([]);
    expect(broken(told, { maxRetries: 0 })).toEqual(["I11 a"]);
    expect(broken(told, { maxRetries: null })).toEqual([]);
  });
});

describe("a retry", () => {
  const again = (s: Story): Story => s.late("a", "w1", { retries: 1 });

  test("is confirmed before a late ack leaves; acked early, it is sent, or somebody is told", () => {
    const asked = (late: boolean) => (s: Story): Story => s.confirmed("a").asks("a", late);
    expect(broken((s) => again(asked(true)(s).retry("a", 1).settle("a")))).toEqual([]);
    expect(broken((s) => asked(true)(s).settle("a"))).toEqual(["retry a"]);
    expect(broken((s) => again(asked(true)(s).settle("a").retry("a", 1)))).toEqual(["retry a"]);
    expect(broken((s) => again(asked(false)(s).retry("a", 1)))).toEqual([]);
    expect(broken((s) => asked(false)(s))).toEqual(["retry a"]);
    expect(broken((s) => asked(false)(s).add("w1", { is: "told", task: "a", code: "retry-unsent" }))).toEqual(
      [],
    );
    expect(broken((s) => asked(false)(s).worker("killed"))).toEqual([]);
  });

  test("that cannot be sent fails its task, or leaves the message where it was", () => {
    const refused = (s: Story): Story =>
      s.confirmed("a").asks("a", true).retry("a", 1, undefined).fault("refuse", ["a"])
        .add("w1", { is: "verdict", task: "a", publish: 2, verdict: "refused" });
    expect(broken((s) => refused(s).settle("a"))).toEqual(["retry a"]);
    expect(broken((s) => refused(s).store("a", "FAILURE").settle("a"))).toEqual([]);
    expect(broken((s) => refused(s).settle("a", "requeue").late("a"))).toEqual([]);
  });

  test("that is confirmed is run: that its task ran before is no matter", () => {
    const sent = story((s) => s.confirmed("a").asks("a", true).retry("a", 1).settle("a"));
    expect(check(sent)).toMatchObject({ ok: false, lost: ["a"], violations: [{ rule: "I1", task: "a" }] });
  });

  test("is a run of its own, and no duplicate; twice without a reason it is", () => {
    const once = story((s) => again(s.confirmed("a").asks("a", true).retry("a", 1).settle("a")));
    expect(check(once)).toMatchObject({ ok: true, duplicated: { explained: [], unexplained: [] } });
    const twice = story((s) => again(again(s.confirmed("a").asks("a", true).retry("a", 1).settle("a"))));
    expect(check(twice)).toMatchObject({ ok: false, duplicated: { unexplained: ["a"] } });
  });

  test("goes two ways where its worker died before the ack, and both are explained (crash point 11)", () => {
    const report = check(story((s) =>
      again(
        again(
          s.confirmed("a").asks("a", true).retry("a", 1).fault("kill", ["a"], "w1", "held").worker("killed")
            .worker("started", "w2").asks("a", true, 0, "w2").retry("a", 1, "confirmed", "w2")
            .settle("a", "ack", "settled", "w2").worker("started", "w1"),
        ),
      )
    ));
    expect(report).toMatchObject({ ok: true, lost: [], duplicated: { explained: ["a"], unexplained: [] } });
  });

  test("is sent after RETRY is stored", () => {
    const late = (s: Story): Story =>
      s.confirmed("a").deliver("a").accept("a", true).start("a", true).end("a", true, "w1", 1, "retry")
        .retry("a", 1).store("a", "RETRY").settle("a");
    expect(broken((s) => again(late(s)))).toContain("retry a");
  });

  test("has an ETA of its own", () => {
    const early = story((s) =>
      again(
        s.publish("a", { eta: 1010 }).verdict("a", "confirmed").wait(50).asks("a", true).retry("a", 1).settle(
          "a",
        ),
      )
    );
    expect(check(early)).toMatchObject({ ok: true });
  });
});

describe("I12", () => {
  test("a worker that stops with a message unsettled, or a task running", () => {
    expect(
      broken((s) => s.confirmed("a").deliver("a").worker("stopped").settle("a", "requeue").late("a", "w2")),
    ).toContain(
      "I12 a",
    );
    expect(
      broken((s) =>
        s.confirmed("a").deliver("a").settle("a").accept("a", false).start("a", false).worker("stopped").end(
          "a",
          false,
        )
      ),
    ).toEqual(["I12 a"]);
  });

  test("a worker that goes on after it has stopped", () => {
    expect(broken((s) => s.confirmed("a").worker("stopped").late("a"))).toContain("I12 a");
    expect(broken((s) => s.confirmed("a").worker("stopped").worker("started").late("a"))).toEqual([]);
  });
});

describe("I13", () => {
  test("a publish without a verdict, unless its sender died", () => {
    expect(broken((s) => s.publish("a"))).toEqual(["I13 a"]);
    expect(broken((s) => s.publish("a").worker("killed", "client"))).toEqual([]);
  });

  test("a verdict after the deadline", () => {
    expect(broken((s) => s.publish("a", { deadline: 1100 }).wait(200).verdict("a", "unknown").late("a")))
      .toEqual([
        "I13 a",
      ]);
  });

  test("unknown or refused without a reason", () => {
    for (const verdict of ["unknown", "refused"] as const) {
      expect(broken((s) => s.publish("a").verdict("a", verdict))).toEqual(["I13 a"]);
      expect(broken((s) => s.publish("a").fault("loseConfirm", ["a"], "client").verdict("a", verdict)))
        .toEqual([]);
      expect(broken((s) => s.publish("a").fault("refuse", ["b"], "client").verdict("a", verdict)))
        .toEqual(["I13 a"]);
    }
  });

  test("a link that was away for a while is a reason", () => {
    const cut = (end: string) => (s: Story) =>
      s.fault("cut", [], "client").publish("b").fault(end, [], "client").verdict("b", "unknown").link(
        "up",
        "client",
        "publish",
      ).publish("a")
        .verdict(
          "a",
          "unknown",
        );
    expect(broken(cut("heal"))).toEqual(["I13 a"]);
    expect(broken(cut("skew"))).toEqual([]);
  });

  test("an unknown publish that is repeated, unless somebody asked for it", () => {
    const again = (s: Story): Story =>
      s.publish("a").fault("loseConfirm", ["a"], "client").verdict("a", "unknown").confirmed("a").late("a");
    expect(broken(again)).toEqual(["repeat a"]);
    expect(broken(again, { repeated: (task) => task === "a" })).toEqual([]);
  });
});

describe("I14", () => {
  test("a worker that does not come back", () => {
    const gone = (s: Story): Story => s.link("up").fault("cut").link("down").wait(60_000).fault("heal");
    expect(broken((s) => gone(s).wait(4000).link("up"))).toEqual([]);
    expect(broken((s) => gone(s).wait(6000).link("up"))).toEqual(["I14"]);
    expect(broken((s) => gone(s).wait(6000).fault("skew"))).toEqual(["I14"]);
    for (const patience of [7, "7s", "7000ms"] as const) {
      expect(broken((s) => gone(s).wait(6000).link("up"), { patience })).toEqual([]);
      expect(broken((s) => gone(s).wait(8000).link("up"), { patience })).toEqual(["I14"]);
    }
    expect(broken((s) => gone(s).wait(6000).worker("killed"))).toEqual([]);
    expect(broken((s) => s.link("up").fault("cut").link("down").wait(60_000).fault("skew"))).toEqual([]);
  });
});

describe("I15", () => {
  test("more than the prefetch", () => {
    const five = (s: Story): Story => s.confirmed("a", "b", "c", "d", "e");
    expect(broken((s) => {
      for (const task of ["a", "b", "c", "d", "e"]) five(s).deliver(task);
    })).toContain("I15 e");
    expect(broken((s) => {
      five(s).deliver("a").settle("a", "requeue").deliver("b").deliver("c").deliver("d").deliver("e");
    })).not.toContain("I15 e");
  });

  test("a new window comes on top of the old one, until what that held is settled", () => {
    const tasks = ["a", "b", "c", "d", "e", "f", "g"];
    const overlap = (s: Story): Story =>
      s.confirmed(...tasks).deliver("a").deliver("b").deliver("c").deliver("d").window("w1", 2, false).window(
        "w1",
        2,
      );
    expect(broken((s) => overlap(s).deliver("e").deliver("f"))).not.toContain("I15 f");
    expect(broken((s) => overlap(s).deliver("e").deliver("f").deliver("g"))).toContain("I15 g");
    const old = (s: Story, left: readonly number[]): Story => {
      overlap(s);
      for (const at of left) s.settle(tasks[at - 1] ?? "", "requeue", "settled", "w1", at);
      return s;
    };
    expect(broken((s) => old(s, [1, 2]).deliver("e").deliver("f"))).not.toContain("I15 f");
    expect(broken((s) => old(s, [1, 2, 3, 4]).deliver("e").deliver("f").deliver("g"))).toContain("I15 g");
  });
});

test("each delivery begins once, and each beyond the first has its reason", () => {
  expect(broken((s) => s.confirmed("a").late("a").start("a", true))).toEqual(["once a", "P13 a"]);
  expect(broken((s) => s.confirmed("a").deliver("a").lose("a").late("a"))).toEqual(["once a"]);
});

describe("a history", () => {
  const clock = { now: () => 5 };

  test("numbers its entries and gives them their time", () => {
    const history = new History({ clock });
    history.add({ is: "worker-started", node: "w1" });
    history.add({ is: "worker-stopped", node: "w1" });
    expect([...history]).toEqual([
      { at: 5, seq: 1, is: "worker-started", node: "w1" },
      { at: 5, seq: 2, is: "worker-stopped", node: "w1" },
    ]);
  });

  test("keeps the latest entries where it is bounded, knows all counts, and is not judged then", () => {
    const history = new History({ clock, keep: 3 });
    for (let i = 0; i < 100; i++) history.add({ is: "link", link: "consume", state: "up", node: `w${i}` });
    expect(history.entries.map(({ node }) => node)).toEqual(["w97", "w98", "w99"]);
    expect([history.length, history.dropped, history.count("link")]).toEqual([100, 97, 100]);
    expect(() => check(history)).toThrow(expect.objectContaining({ code: "history-incomplete" }));
  });

  test("off, it keeps nothing", () => {
    const history = new History({ clock, keep: 0 });
    history.add({ is: "worker-started", node: "w1" });
    expect([history.on, history.entries.length, history.count("worker-started")]).toEqual([false, 0, 1]);
    expect(() => check(new History({ clock, keep: 0 }))).toThrow(
      expect.objectContaining({ code: "history-incomplete" }),
    );
  });
});
