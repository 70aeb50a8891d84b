import { describe, expect, test } from "vitest";
import { startCeleryWorker } from "../support/celery-worker.ts";
import { PythonError, startCeleryClient, startPython } from "../support/python.ts";

const broker = process.env["TEST_AMQP"] ?? "amqp://guest:guest@127.0.0.1:5672//";
const backend = process.env["TEST_REDIS"] ?? "redis://127.0.0.1:6379/9";

describe("the Python side of the interop suites", () => {
  test("a real Celery client and a real Celery worker talk to each other", async () => {
    const queue = `interop-${crypto.randomUUID()}`;
    await using worker = await startCeleryWorker({ broker, backend, queue });
    await using client = await startCeleryClient({ broker, backend });
    expect(client.facts["celery"]).toMatch(/^5\./);

    const id = await client.call<string>("send_task", {
      name: "tasks.add",
      args: [2, 3],
      options: { queue },
    });
    expect(await client.call("get", { id })).toEqual({ value: 5, repr: "5", type: "int" });
    await worker.saw(new RegExp(`Task tasks\\.add\\[${id}\\] succeeded`));

    const failed = await client.call<string>("send_task", {
      name: "tasks.fail",
      args: ["no"],
      options: { queue },
    });
    await expect(client.call("get", { id: failed })).rejects.toMatchObject({
      type: "ValueError",
      args: ["no"],
    });

    const chained = await client.call<{ id: string }>("apply", {
      spec: {
        chain: [
          { name: "tasks.add", args: [1, 1], options: { queue } },
          { name: "tasks.mul", args: [10], options: { queue } },
        ],
      },
    });
    expect(await client.call("get", { id: chained.id })).toMatchObject({ value: 20 });
    await client.call("delete_queues", { names: [queue] });
    expect(await worker.stop()).toBe("exit 0");
  });

  test("a call fails by its deadline, and a process that ends fails every call with its stderr", async () => {
    await using client = await startCeleryClient({ broker, backend });
    await expect(client.call("get", { id: "nobody", timeout: 30 }, { timeout: 200 })).rejects.toThrow(
      "no answer",
    );
    const cut = client.call("get", { id: "nobody", timeout: 30 });
    process.kill(client.pid, "SIGKILL");
    await expect(cut).rejects.toThrow("signal SIGKILL");
    await expect(client.call("get", { id: "nobody" })).rejects.toThrow("signal SIGKILL");
  });

  test("a Python without celery fails with the cure, never silently", async () => {
    await expect(
      startPython("client.py", ["memory://"], {
        env: { PYTHONPATH: "/nowhere", PYTHONNOUSERSITE: "1", PYTHONHOME: "/nowhere" },
      }),
    )
      .rejects.toThrow("npm run services");
    expect(PythonError.name).toBe("PythonError");
  });
});
