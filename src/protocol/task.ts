/**
 * Task messages: protocol 2 written, protocols 1, 2 and the hybrid of both read.
 *
 * @module
 */
export { buildTask, packTask, type PackTaskOptions, type TaskParts, type TaskSpec } from "./task-writer.ts";
export { peekTask, queueName, readTask, type TaskRequest } from "./task-reader.ts";
