/**
 * What must happen in one piece on the server, as Lua, and how to run it over any client.
 *
 * @module
 */
import type { Argument, Command, CommandOptions, Commands } from "./client.ts";

/** A Lua script and its SHA-1, by which the server knows it once it has seen it. */
export interface Script {
  readonly text: string;
  /** 40 hex digits, fixed here because the edge has no synchronous SHA-1; a test holds both together. */
  readonly sha: string;
}

/** A script and what it is given. */
export interface ScriptCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

/**
 * Writes results and announces each on the channel of the same name. KEYS: the result keys. ARGV: for each key its text and its time to
 * live in ms ("0": for ever). Answers for each key 1 (stored), 0 (SUCCESS was there and stays) or the text of Redis's error. A replica
 * refuses as a whole, so that the caller looks for the primary.
 *
 * Celery reads, decodes and writes in three steps; here nothing comes between. The stored text is compared, not decoded: kombu and we
 * write `status` first. Only a document of another layout is given to cjson, which reads it and never writes it back (it would corrupt
 * `[]` and big integers).
 */
export const STORE_RESULTS: Script = {
  text: `local function done(key)
  local head = redis.call('GETRANGE', key, 0, 19)
  if head == '{"status": "SUCCESS"' or string.sub(head, 1, 19) == '{"status":"SUCCESS"' then return true end
  if head == '' or string.sub(head, 1, 12) == '{"status": "' or string.sub(head, 1, 11) == '{"status":"' then return false end
  local read, meta = pcall(cjson.decode, redis.call('GET', key))
  return read and type(meta) == 'table' and meta['status'] == 'SUCCESS'
end
local function store(key, text, ttl)
  if done(key) then return 0 end
  if ttl == '0' then redis.call('SET', key, text) else redis.call('SET', key, text, 'PX', ttl) end
  redis.call('PUBLISH', key, text)
  return 1
end
local answers = {}
for i, key in ipairs(KEYS) do
  local ran, answer = pcall(store, key, ARGV[2 * i - 1], ARGV[2 * i])
  if not ran then
    if type(answer) == 'table' then answer = answer['err'] end
    if string.find(answer, 'READONLY', 1, true) then return redis.error_reply('READONLY nothing was written') end
  end
  answers[i] = answer
end
return answers
`,
  sha: "dec480351416eff51faeaec0c3f91b5fb878974c",
};

/** Adds one to a counter. KEYS: the counter. ARGV: its time to live in ms, set with the first. Answers the new count. */
export const BUMP_FACT: Script = {
  text: `local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
`,
  sha: "a7871b21ea88edce2d9133644288b4c6695d1ee4",
};

/**
 * Runs a script by its SHA-1; a server that does not know it (restart, SCRIPT FLUSH) gets the text. Throws what it answers. `unseen` sends the
 * text at once, so that what is sent behind it does not overtake it.
 */
export async function runScript(
  commands: Commands,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
  options: CommandOptions,
  unseen = false,
): Promise<unknown> {
  const rest: readonly Argument[] = [keys.length, ...keys, ...args];
  const short: Command = unseen ? ["eval", script.text, ...rest] : ["evalsha", script.sha, ...rest];
  let [answer] = await commands.run([short], options);
  if (answer instanceof Error && answer.message.startsWith("NOSCRIPT")) {
    // That it was not carried out is certain.
    if (options.trail !== undefined) options.trail.attempts -= 1;
    [answer] = await commands.run([["eval", script.text, ...rest]], options);
  }
  if (answer instanceof Error) throw answer;
  return answer;
}
