import { describe, expect, test } from "vitest";
import { decodeResult, encodeResult, type ResultMeta, resultStatus } from "../../src/protocol/result.ts";
import { PyFloat } from "../../src/protocol/types.ts";

const meta: ResultMeta = {
  status: "SUCCESS",
  result: 5,
  traceback: null,
  children: [],
  dateDone: "2026-11-22T06:01:29.345882+00:00",
  taskId: "id",
};

describe("encodeResult", () => {
  test("writes Celery's keys in Celery's order", () => {
    expect(encodeResult(meta)).toBe(
      '{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], "date_done": "2026-11-22T06:01:29.345882+00:00", "task_id": "id"}',
    );
    const more = {
      groupId: "g",
      parentId: "p",
      extended: { name: "t", args: [1], kwargs: {}, worker: "w@h", retries: 0, queue: "q", m: "1" },
    };
    expect(encodeResult({ ...meta, status: "STARTED", dateDone: null, children: null, ...more })).toBe(
      '{"status": "STARTED", "result": 5, "traceback": null, "children": null, "date_done": null, "group_id": "g", "parent_id": "p", ' +
        '"name": "t", "args": [1], "kwargs": {}, "worker": "w@h", "retries": 0, "queue": "q", "m": "1", "task_id": "id"}',
    );
  });

  test("an addition never takes the place of a key of the record", () => {
    const text = encodeResult({
      ...meta,
      extended: { task_id: "other", status: "FAILURE", gone: undefined },
    });
    expect(text).toBe(encodeResult(meta));
  });

  test("a result without a JSON form is refused", () => {
    expect(() => encodeResult({ ...meta, result: new Map() })).toThrow(
      expect.objectContaining({ name: "EncodeError" }),
    );
  });
});

describe("decodeResult", () => {
  test("reads what it writes", () => {
    const full = { ...meta, groupId: "g", parentId: "p", extended: { worker: "w@h" } };
    expect(decodeResult(encodeResult(full))).toEqual(full);
    expect(decodeResult(encodeResult(meta))).toEqual(meta);
  });

  test("tolerates all that writers may leave out", () => {
    expect(decodeResult('{"status": "PROGRESS"}')).toEqual({
      status: "PROGRESS",
      result: null,
      traceback: null,
      children: null,
      dateDone: null,
      taskId: "",
    });
    expect(
      decodeResult(
        '{"status": "X", "children": 5, "traceback": [], "date_done": 7, "task_id": 8, "group_id": null, "__proto__": 1}',
      ),
    ).toMatchObject({
      status: "X",
      children: null,
      traceback: null,
      dateDone: null,
      taskId: "",
    });
  });

  test("plain or exact", () => {
    const text = encodeResult({ ...meta, result: new PyFloat("1.0") });
    expect(decodeResult(text).result).toBe(1);
    expect(decodeResult(text, { exact: true }).result).toEqual(new PyFloat("1.0"));
  });

  test.each(["null", "[]", "5", '"SUCCESS"', "{}", '{"status": 5}', '{"result": 5}'])(
    "refuses %s",
    (text) => {
      expect(() => decodeResult(text)).toThrow(
        expect.objectContaining({ name: "DecodeError", code: "decode-result" }),
      );
    },
  );

  test("the status is told without reading the rest, or with it where the order is another's", () => {
    expect(resultStatus(encodeResult(meta))).toBe("SUCCESS");
    expect(resultStatus('{"status":"FAILURE","result":{}}')).toBe("FAILURE");
    expect(resultStatus('{"result": {}, "status": "my own"}')).toBe("my own");
    expect(resultStatus('{"status": "SUCCESS", broken')).toBe("SUCCESS");
    expect(() => resultStatus("{}")).toThrow(expect.objectContaining({ code: "decode-result" }));
  });
});
