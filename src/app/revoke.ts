/**
 * Revokes kept in the backend, for workers that did not hear of them: those that start later, and what comes back from parking.
 *
 * @module
 */
import type { Backend, Facts } from "../backend.ts";
import { CeleriacError, ConfigurationError } from "../errors.ts";
import { encodeResult, READY_STATES } from "../protocol/result.ts";
import { keepFacts, revokeFact, type StampedHeaders, stampFact, stampsOf } from "../result/revoke.ts";
import type { AppInner } from "./inner.ts";

/** Keeps that these tasks are revoked, and stores REVOKED for those that have no final state yet. */
export async function revokeTasks(app: AppInner, ids: string | readonly string[]): Promise<void> {
  const list = idsOf(ids);
  await keepRevoked(app, factsOf(app), list);
  await storeRevoked(app, list);
}

/** Keeps that what bears one of these stamps is revoked. */
export async function revokeStamped(app: AppInner, headers: StampedHeaders): Promise<void> {
  const { taskRevokeExpires } = app.settings;
  await keepFacts(factsOf(app), stampsOf(headersOf(headers)).map(stampFact), taskRevokeExpires);
}

/** So that any worker can ask for it. */
export async function keepRevoked(app: AppInner, facts: Facts, ids: readonly string[]): Promise<void> {
  await keepFacts(facts, ids.map(revokeFact), app.settings.taskRevokeExpires);
}

/** Stores REVOKED for those that have no final state; a backend never lets it replace SUCCESS. */
export async function storeRevoked(app: AppInner, ids: readonly string[]): Promise<void> {
  const backend = backendOf(app);
  const { resultExpires: ttl } = app.settings;
  const before = await backend.load(ids);
  await Promise.all(ids.map(async (taskId, at) => {
    if (READY_STATES.has(before[at]?.status ?? "")) return;
    await backend.store({ taskId, status: "REVOKED", text: revokedText(app, taskId) }, { ttl });
  }));
}

/** Throws `ConfigurationError` "option-invalid" for what is no object. */
export function headersOf(headers: StampedHeaders): StampedHeaders {
  if (typeof headers === "object" && headers !== null && !Array.isArray(headers)) return headers;
  throw new ConfigurationError(
    "option-invalid",
    "Stamped headers are an object: a name to a value or several.",
  );
}

/** The ids, once each. Throws `ConfigurationError` "option-invalid" for what is none. */
export function idsOf(ids: string | readonly string[]): readonly string[] {
  const list: readonly unknown[] = typeof ids === "string" ? [ids] : ids;
  if (Array.isArray(list) && list.every((id) => typeof id === "string" && id !== "")) {
    return [...new Set(list as string[])];
  }
  throw new ConfigurationError("option-invalid", "revoke() takes the id of a task, or an array of ids.");
}

/** As Celery 5.6 writes it for a task that it may never have seen: `children` is null. */
function revokedText(app: AppInner, taskId: string): string {
  return encodeResult({
    status: "REVOKED",
    result: { exc_type: "TaskRevokedError", exc_message: ["revoked"], exc_module: "celery.exceptions" },
    traceback: null,
    children: null,
    dateDone: app.instant(app.platform.clock.now()),
    taskId,
  });
}

function backendOf(app: AppInner): Backend {
  const backend = app.backend();
  if (backend !== undefined) return backend;
  throw new ConfigurationError(
    "backend-missing",
    "A revoke is kept in the result backend, and the app has none.",
  );
}

function factsOf(app: AppInner): Facts {
  const { facts, transport } = backendOf(app);
  if (facts !== undefined) return facts;
  throw new CeleriacError("revoke-unsupported", `The backend ${transport} keeps no revokes.`, {
    hint: "Revoke by a worker, or use a backend with facts (Redis).",
  });
}
