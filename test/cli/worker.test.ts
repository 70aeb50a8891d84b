import { describe, expect, test } from "vitest";
import { start } from "./run.ts";
import { until } from "../support/wait.ts";

const WORKER = ["-A", "./memory.ts", "worker", "-Q", "sum-queue", "-c", "4", "--hostname", "w1@box"];

describe("celeriac worker", () => {
  test("shows Celery's banner and log lines, and ends by SIGTERM with 0", async () => {
    await using child = start([...WORKER, "--loglevel=info"], { WORK: "sum,boom,nobody" });
    await child.saw(/unregistered/);
    await child.saw(/raised unexpected/);
    await child.saw(/succeeded/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    const { log } = child;
    expect(log).toMatch(/^ -------------- w1@box v\d+\.\d+\.\d+ \(celeriac\)$/m);
    expect(log).toMatch(/^- \*\* ---------- \.> app: {9}fixture$/m);
    expect(log).toMatch(/^- \*\*\* --- \* --- \.> concurrency: 4 \(loop\)$/m);
    expect(log).toMatch(/^ {16}\.> sum-queue {8}exchange=sum-queue\(direct\) key=sum-queue$/m);
    expect(log).toMatch(/^ {2}\. tasks\.sum\.consume_task$/m);
    const at = "\\[\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d,\\d{3}: ";
    const id = "\\[[0-9a-f-]{36}\\]";
    for (
      const line of [
        `^${at}INFO/MainProcess\\] w1@box ready\\.$`,
        `^${at}INFO/MainProcess\\] Connected to memory://`,
        `^${at}INFO/MainProcess\\] Task tasks\\.sum\\.consume_task${id} received$`,
        `^${at}INFO/MainProcess\\] Task tasks\\.sum\\.consume_task${id} succeeded in \\d+\\.\\d+s: 149$`,
        `^${at}ERROR/MainProcess\\] Task tasks\\.boom${id} raised unexpected: RangeError\\('boom'\\)\\n.*boom\\n.*memory\\.ts`,
        `^${at}ERROR/MainProcess\\] Received unregistered task of type 'tasks\\.nobody'\\.$`,
      ]
    ) expect(log).toMatch(new RegExp(line, "m"));
    expect(log).toMatch(/\nworker: Warm shutdown \(MainProcess\)\n/);
    expect(log).not.toContain("\u001b");
  });

  test("answers health probes on this machine alone, and goes on without them", async () => {
    await using child = start([...WORKER, "--loglevel=info", "--health", "0", "--dead-limit", "10m"]);
    const [, url = ""] = await child.saw(/Health is at (http:\/\/127\.0\.0\.1:\d+\/)/);
    await child.saw(/ready\./);
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ hostname: "w1@box", state: "consuming", healthy: true });
    expect((await fetch(url, { method: "DELETE" })).status).toBe(405);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
  });

  test.each([
    ["--health", "nowhere", /It is a port, or host:port/],
    ["--health", "70000", /It is a port, or host:port/],
    ["--dead-limit", "soon", /It is a number of seconds/],
  ])("refuses %s %s", async (flag, value, sentence) => {
    await using child = start([...WORKER, flag, value]);
    expect(await child.end).toBe("exit 2");
    expect(child.log).toMatch(sentence);
  });

  test("lets a running task finish after SIGTERM", async () => {
    await using child = start([...WORKER, "-l", "INFO"], { WORK: "slow" });
    await child.saw(/tasks\.slow\[[0-9a-f-]{36}\]: began/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    const said = child.log.match(/Warm shutdown|tasks\.slow\[.*\]: ended|tasks\.slow\[.*\] succeeded/g) ?? [];
    expect(said.map((line) => line.replace(/\[.*\]/, ""))).toEqual([
      "Warm shutdown",
      "tasks.slow: ended",
      "tasks.slow succeeded",
    ]);
  });

  test("lets a running task finish after the first Ctrl-C, and gives up at the second", async () => {
    await using child = start([...WORKER, "-l", "INFO"], { WORK: "slow" });
    await child.saw(/: began/);
    process.kill(child.pid, "SIGINT");
    await child.saw(
      /worker: Hitting Ctrl\+C again will initiate cold shutdown, terminating all running tasks!/,
    );
    await child.saw(/worker: Warm shutdown \(MainProcess\)/);
    // Pressed again and again: what comes within half a second of the first is the first one, passed on twice.
    await until(() => {
      if (child.ended === undefined) process.kill(child.pid, "SIGINT");
      return /worker: Cold shutdown \(MainProcess\)/.test(child.log);
    }, { what: "the cold shutdown", every: 50 });
    expect(await child.end).toBe("exit 1");
    expect(child.log).not.toContain(": ended");
  });

  test("ends at once at the third Ctrl-C, whatever the cold shutdown still waits for", async () => {
    // A result that nobody stores is waited for, three seconds long.
    await using child = start([...WORKER, "-l", "INFO"], { WORK: "sum", STUCK: "1" });
    await child.saw(/received/);
    await until(() => {
      if (child.ended === undefined) process.kill(child.pid, "SIGINT");
      return child.ended;
    }, { what: "the end", every: 50 });
    expect(await child.end).toBe("exit 1");
    expect(child.log).toContain("worker: Cold shutdown (MainProcess)");
    expect(child.log).not.toContain("the worker has shut down");
  });

  test("softly: the second Ctrl-C gives running tasks their time, the third takes it away: exit 1", async () => {
    for (
      const [work, presses, end] of [["slow", 2, "ended"], [
        "heeds",
        3,
        "told to end by worker-shutdown",
      ]] as const
    ) {
      await using child = start([...WORKER, "-l", "INFO"], { WORK: work, SOFT: "60" });
      await child.saw(/: began/);
      const lines = [
        /worker: Warm shutdown \(MainProcess\)/,
        /Initiating Soft Shutdown, terminating in 60 seconds/,
        /Waiting gracefully for cold shutdown to complete\.\.\./,
      ];
      for (const line of lines.slice(0, presses)) {
        await until(() => {
          if (child.ended === undefined && !line.test(child.log)) process.kill(child.pid, "SIGINT");
          return line.test(child.log);
        }, { what: String(line), every: 50 });
      }
      expect(await child.end).toBe("exit 1");
      expect(child.log).toContain(`: ${end}`);
      expect(child.log).toContain("the worker has shut down");
    }
  });

  test("leaves alone the queues of -X", async () => {
    const queues = ["-Q", "sum-queue,other", "-X", "other"];
    await using child = start(["-A", "./memory.ts", "worker", ...queues, "-l", "info"], {
      WORK: "sum@other,sum",
    });
    await child.saw(/succeeded/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    expect(child.log.match(/received$/gm)).toHaveLength(1);
    expect(child.log).toContain(".> sum-queue");
    expect(child.log).not.toContain(".> other");
  });

  test("obeys --time-limit and --soft-time-limit", async () => {
    const limits = ["--soft-time-limit", "0.1", "--time-limit", "500ms"];
    await using child = start([...WORKER, "-l", "info", ...limits], { WORK: "heeds,slow" });
    await child.saw(/Task tasks\.heeds\[.*\] raised unexpected: SoftTimeLimitExceeded\(\)/);
    await child.saw(/Task handler raised error: TimeLimitExceeded\(0\.5\)/);
    // What nobody waits for any more holds up no stop.
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    expect(child.log).toMatch(/Soft time limit \(0\.1s\) exceeded for tasks\.slow/);
    expect(child.log).toMatch(/Hard time limit \(0\.5s\) exceeded for tasks\.slow/);
  });

  test("aborts the signals of running tasks at SIGQUIT, and at SIGTERM where it is remapped: exit 1", async () => {
    for (const [signal, env] of [["SIGQUIT", {}], ["SIGTERM", { REMAP_SIGTERM: "SIGQUIT" }]] as const) {
      await using child = start([...WORKER, "-l", "INFO"], { WORK: "heeds", ...env });
      await child.saw(/: began/);
      expect(await child.stop(signal)).toBe("exit 1");
      expect(child.log).toContain("worker: Cold shutdown (MainProcess)");
      expect(child.log).toContain(": told to end by worker-shutdown");
    }
  });

  test("says little where nobody asks for more, and no banner with -q", async () => {
    await using child = start(["-q", ...WORKER], { WORK: "sum,boom" });
    await child.saw(/raised unexpected/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    expect(child.log).not.toMatch(/received|succeeded|ready|\[queues\]|\[tasks\]/);
  });

  test("tells of a promise that a task left behind, and goes on", async () => {
    await using child = start([...WORKER, "-l", "INFO", "-c", "1"], { WORK: "stray,sum" });
    await child.saw(/A promise was rejected and nobody heard: Error: nobody listens/);
    await child.saw(/succeeded in .*: 149/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
  });

  test("lets neither an error nor a name of an argument forge a log line", async () => {
    await using child = start([...WORKER, "-l", "INFO", "-c", "1"], { WORK: "forge,sum" });
    await child.saw(/A promise was rejected and nobody heard: Error: stray\\n\[2026/);
    await child.saw(/succeeded in .*: 149/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    expect(child.log).toContain("FORGED");
    expect(child.log).not.toMatch(/^\[2026-11-22 00:00:00,000|\u001b/m);
  });

  test("ends by SIGTERM with 0 while it starts, whatever it waits for", async () => {
    for (const wait of ["include", "connect", "declare"]) {
      await using child = start(["-A", "./starting.ts", "worker", "-l", "info"], { WAIT: wait });
      await child.saw(new RegExp(`waits in ${wait}`));
      expect(await child.stop("SIGTERM"), `${wait}: ${child.log}`).toBe("exit 0");
      expect(child.stderr).not.toMatch(/celeriac: /);
      expect(child.log).toContain("worker: Warm shutdown (MainProcess)");
    }
  });

  test("takes the flags of a Procfile that switch off what is not there", async () => {
    const needless = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-O", "fair"];
    await using child = start([...WORKER, "-l", "info", ...needless], { WORK: "sum" });
    await child.saw(/succeeded/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
  });

  test("loads more tasks with -I, for the same app", async () => {
    await using child = start(["-A", "./plain.mjs", "worker", "-I", "./more.ts", "-l", "info"]);
    await child.saw(/Task tasks\.more\[.*\] succeeded in .*: 'more'/);
    expect(await child.stop("SIGTERM")).toBe("exit 0");
    expect(child.log).toMatch(/^\[tasks\]\n {2}\. tasks\.more$/m);
  });
});
