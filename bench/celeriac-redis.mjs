/**
 * The same with Redis for both, as BullMQ has it.
 *
 * @module
 */
import { redisBroker } from "celeriac/redis";
import { phases } from "./celeriac.mjs";

export const { publish, consume } = phases(({ redis }) => redisBroker(redis));
