/**
 * Tests that cannot hold in a bundle, or in a runtime with less than the web's names: each with its reason. A test that fails and is
 * not here is a failure, and so is one that is here and passes.
 *
 * @module
 */

/** Full names of tests. */
export type Known = readonly string[];

/** Without AsyncLocalStorage a task in progress is not found by what it calls: the explicit ways are left (`task.send`, a fork's own methods). */
export const NO_CONTEXT: Known = [
  "test/app/scope.test.ts > a task sent in a task > carries parent and root, and is noted as a child once it is confirmed",
  "test/app/scope.test.ts > a task sent in a task > has its parent's priority only where the setting says so",
  "test/app/scope.test.ts > a task sent in a task > concurrent tasks do not mix their children",
  "test/app/scope.test.ts > who sends > is the fork whose worker runs the task, for all that its origin declared",
  "test/app/scope.test.ts > who sends > is the fork in whose `run` it happens",
  "test/app/scope.test.ts > who sends > is an app of another broker itself, with the running task as parent",
  "test/app/scope.test.ts > who sends > is the running task's app where the declaring one has no broker",
  "test/app/scope.test.ts > who sends > a result is read from the app's own backend in a task of another app, whoever would send",
  "test/testing/harness/who.test.ts > who sends > is the harness whose app it is, or in whose run it happens, also with several of one app",
  "test/testing/harness/who.test.ts > who sends > is nobody where several live and nothing says which: an error, not a mixture",
  "test/testing/harness/who.test.ts > who sends > is not another test's harness for one whose own is over",
  "test/testing/harness/who.test.ts > who sends > in a task is its worker, and the sent task is its child",
  "test/testing/harness/who.test.ts > who sends > two harnesses see neither each other's queues nor results",
  "test/result/async-result.test.ts > get > inside a task is refused unless it is allowed, as in Celery",
  "test/worker/records.test.ts > what is stored is what Celery 5.6.2 stores > parent_child",
  "test/worker/retry.test.ts > task.retry() > gives children a priority that can be sent, whatever the message has",
  "test/worker/request.test.ts > the running task > sends children that know their parent and root and are listed in its result",
];

/** One file holds all: a stack names no test file, and a module without a default export has one that is undefined. */
export const ONE_FILE: Known = [
  "test/app/settings.test.ts > settings > come as a module, with or without a default export",
  "test/protocol/exception.test.ts > tracebackOf > tells the error, its frames and its causes, on every runtime",
  "test/worker/records.test.ts > what is stored is what Celery 5.6.2 stores > a failure's traceback is the stack, as text",
  "test/worker/request.test.ts > the column of a task that fails > stores the failure, reports it with its traceback, and is acked",
];

/** edge-runtime has no CompressionStream. */
export const NO_COMPRESSION: Known = [
  "test/app/send.test.ts > sendMany > is one batch with one outcome each, in order",
  "test/app/vectors.test.ts > what is sent reads as what celery 5.6.2 sends: > gzip",
  "test/app/vectors.test.ts > what is sent reads as what celery 5.2.6 sends: > gzip",
  "test/protocol/content.test.ts > packContent > gives JSON at once, and a promise only where it compresses",
  "test/protocol/content.test.ts > openContent > refuses plain text said to be compressed",
  "test/protocol/content.test.ts > openContent > refuses an empty body said to be compressed",
  "test/protocol/content.test.ts > openContent > refuses a real gzip stream, and one that is cut or has been changed, as kombu does",
  "test/protocol/content.test.ts > openContent > stops a zip bomb at the limit: soon, and with little memory",
  "test/protocol/content.test.ts > openContent > opens a list of 100,000 zeros: what compresses well is no bomb",
  "test/protocol/content.test.ts > openContent > opens a million zeros: what compresses well is no bomb",
  "test/protocol/content.test.ts > openContent > opens 7 MiB of one record: what compresses well is no bomb",
  "test/protocol/content.test.ts > openContent > opens 15 MiB of counted records: what compresses well is no bomb",
  "test/protocol/content.test.ts > openContent > refuses more than 8 MiB where it is more than a hundred times what came, and more than 16 MiB at all",
  "test/protocol/content.test.ts > openContent > opens what is just as large as the limit",
  "test/protocol/content.test.ts > openContent > opens a large body that arrives in many pieces",
  "test/protocol/hostile.test.ts > hostile messages against the limits that are shipped > compressed, the same are refused before they are whole",
  "test/protocol/task.test.ts > readTask > a message that we packed is the task that was meant, also compressed",
  "test/protocol/vectors.test.ts > ../vectors/task-messages.amqp.celery-5.6.2.json > gzip is read, and written back, without loss",
  "test/protocol/vectors.test.ts > ../vectors/task-messages.amqp.celery-5.6.2.json > gzip is written from its meaning as Celery wrote it",
  "test/protocol/vectors.test.ts > ../vectors/task-messages.amqp.celery-5.2.6.json > gzip is read, and written back, without loss",
  "test/protocol/vectors.test.ts > ../vectors/task-messages.amqp.celery-5.2.6.json > gzip is written from its meaning as Celery wrote it",
];

/** edge-runtime's TextEncoder makes bytes of another realm than its Uint8Array: `toEqual` tells them apart. */
export const TWO_REALMS: Known = [
  "test/protocol/json.test.ts > P25: a round trip > of any value gives the value, in plain form",
];
