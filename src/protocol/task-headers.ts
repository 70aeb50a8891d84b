/**
 * The names that Celery keeps for itself among a message's headers; all others are the sender's own.
 *
 * @module
 */

/** Those that each task message of protocol 2 has. */
const WRITTEN: ReadonlySet<string> = /* @__PURE__ */ words(
  "lang task id root_id parent_id group group_index shadow eta expires retries timelimit argsrepr kwargsrepr origin " +
    "ignore_result replaced_task_nesting stamped_headers stamps",
);

const OTHERS: ReadonlySet<string> = /* @__PURE__ */ words(
  "meth compression redelivered __proto__ " +
    // What Celery's Context has as attributes: it drops them from the headers that a task sees.
    "_children _protected args as_execution_options callbacks called_directly chain children chord clear correlation_id " +
    "delivery_info errbacks get headers hostname is_eager kwargs logfile loglevel properties reply_to taskset update utc",
);

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

/** Whether a header is Celery's own. */
export function isOwnHeader(name: string): boolean {
  return WRITTEN.has(name) || isReserved(name);
}

/** Whether a header is Celery's own, though not each message has it. */
export function isReserved(name: string): boolean {
  return OTHERS.has(name);
}

/** Those of the reserved names by which a header would break a Python worker; the few that a plain sender knows. */
export function isTaken(name: string): boolean {
  return /^(__proto__|children|compression|get|update)$/.test(name);
}

/** Whether a header is RabbitMQ's note on a dead-lettered copy: no copy that we publish carries it on. */
export function isDeathHeader(name: string): boolean {
  return /^x-(?:death|first-death-|last-death-|delivery-count$)/.test(name);
}
