/**
 * What a consumer does in one piece on the server, as Lua. Each script is a function of its KEYS and ARGV alone: the time is given, nothing
 * is drawn. None decodes a message, as cjson would corrupt `[]` and big integers.
 *
 * In common: `unacked` is kombu's hash of what is being worked on, tag to entry; `index` its sorted set, tag to an instant in s. An entry is
 * the JSON text `[message, exchange, routing key]`, written by us with the exchange "" and a queue as the key, which makes a Python worker
 * put it back into that queue; the part behind the message is its tail. A consumer's `beat` is a key that expires, with the number of the
 * consumer's next claim in it; the `fleet` is the sorted set of all consumers of ours.
 *
 * Redis refuses a script's first write where the memory is full, if that write may need some, and none after it. So each begins with one that
 * needs none: consuming is what frees memory.
 *
 * Their lines stand at the margin, as a bundle holds every blank of them.
 *
 * @module
 */
import type { Script } from "../scripts.ts";

/**
 * Takes the oldest messages of each queue, the most urgent first, into `unacked`, each under a fresh tag.
 *
 * KEYS: unacked, index, beat, fleet; for each queue its parked set and its four lists. ARGV: now (s), the beat's time to live (ms), the
 * fleet's (ms), the consumer's id, what stands before the number in its tags, the number of the first claim, the most bytes, the most messages
 * of any claim; for each queue the tail of its entries, and the most messages.
 *
 * Answers [the number after the last claim, when the next parked message is due ("" for never), then for each message its list (from 0, four
 * to a queue) and its text]. Where the number of the first claim was used already, the answer of that run was lost: it is given again, as far
 * as it is not settled, and nothing else is taken: the list is -1, then comes the number, and the text is the entry. So it may be
 * run again, and a run that comes late takes nothing. Where the beat is gone, or does not know, the tags themselves tell.
 *
 * A message leaves its list after it stands in `unacked`: nothing that fails in between can lose it. A parked message that is due goes to the
 * front of its list first, the one that waits longest to the very front.
 *
 * Where the parked set or the fleet is something else, which another program put there, only what they are for comes later.
 */
export const CLAIM: Script = {
  text: `local call, A = redis.call, ARGV
local unacked, index, beat, fleet = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, ttl, stem, first, room = A[1], tonumber(A[2]), A[5], tonumber(A[6]), tonumber(A[7])
local function tag(number) return stem .. string.format('%012d', number) end
local reached = tonumber(call('GET', beat) or '')
if not reached then
reached = first
for number = first, first + A[8] - 1 do
if call('HEXISTS', unacked, tag(number)) == 1 then reached = number + 1 end
end
end
local function touch(number)
call('PEXPIRE', beat, ttl)
call('SET', beat, number, 'PX', ttl)
if type(redis.pcall('ZADD', fleet, now, A[4])) == 'number' then call('PEXPIRE', fleet, A[3]) end
end
if reached > first then
local answer = {reached, ''}
for number = first, reached - 1 do
local entry = call('HGET', unacked, tag(number))
if entry then
answer[#answer + 1] = -1
answer[#answer + 1] = number
answer[#answer + 1] = entry
end
end
touch(reached)
return answer
end
if call('PTTL', beat) < ttl * 0.75 then touch(first) end
local answer, due, queues = {first, ''}, nil, (#KEYS - 4) / 5
for q = 1, queues do
local parked, tail, most = KEYS[5 * q], A[7 + 2 * q], tonumber(A[8 + 2 * q])
if most > 0 then
local ready = redis.pcall('ZRANGEBYSCORE', parked, '-inf', now, 'LIMIT', 0, most)
for at = #ready, 1, -1 do
call('ZREM', parked, ready[at])
local entry = call('HGET', unacked, ready[at])
local step = tonumber(string.match(ready[at], '^celeriac:park:(%d):'))
if entry and step and string.sub(entry, -#tail) == tail then
call('RPUSH', KEYS[5 * q + 1 + step], string.sub(entry, 2, -1 - #tail))
call('ZREM', index, ready[at])
call('HDEL', unacked, ready[at])
end
end
end
local next = redis.pcall('ZRANGE', parked, 0, 0, 'WITHSCORES')[2]
if next and (not due or tonumber(next) < tonumber(due)) then due = next end
end
local number = first
for step = 1, 4 do
for q = 1, queues do
local list, tail, most = KEYS[5 * q + step], A[7 + 2 * q], tonumber(A[8 + 2 * q])
while most > 0 and room > 0 do
local found = redis.pcall('LRANGE', list, -math.min(most, 50), -1)
if found.err or #found == 0 then break end
local entries, scores, took = {}, {}, 0
for at = #found, 1, -1 do
local text, name = found[at], tag(number)
entries[#entries + 1] = name
entries[#entries + 1] = '[' .. text .. tail
scores[#scores + 1] = now
scores[#scores + 1] = name
answer[#answer + 1] = 4 * (q - 1) + step - 1
answer[#answer + 1] = text
number, took, most, room = number + 1, took + 1, most - 1, room - #text
if room <= 0 then break end
end
call('PEXPIRE', beat, ttl)
call('HSET', unacked, unpack(entries))
call('ZADD', index, unpack(scores))
call('SET', beat, number, 'PX', ttl)
call('LTRIM', list, 0, -1 - took)
end
A[8 + 2 * q] = most
end
end
answer[1], answer[2] = number, due or ''
return answer
`,
  sha: "d78b47b7763daad53a726095eda2cd4f798e9c8a",
};

/**
 * Settles what is still ours. KEYS: unacked, index. ARGV, for each delivery its verb and tag, and
 * - for `ack` no more;
 * - for `back` the list, the entry's tail and the text ("" for as it is stored): to the front of the list;
 * - for `park` the new tag, the instant (s), the parked set, its time to live (ms), the entry's tail and the text, as before.
 *
 * Answers 1 for each that was ours, 0 where the entry was gone: somebody else has the message, and nothing was done. Redis's error as text
 * where its list did not take it (the key holds something else, the user may not touch it): the entry stays, and those beside it are settled.
 */
export const SETTLE: Script = {
  text: `local call, A, unacked, index = redis.call, ARGV, KEYS[1], KEYS[2]
local answers, at = {}, 1
call('HDEL', unacked, '')
local function text(entry, tail, given)
if given ~= '' then return given end
return string.sub(entry, 2, -1 - #tail)
end
while at <= #A do
local verb, tag, done = A[at], A[at + 1], 0
if verb == 'ack' then
done = call('HDEL', unacked, tag)
if done == 1 then call('ZREM', index, tag) end
at = at + 2
else
local entry = call('HGET', unacked, tag)
if verb == 'back' then
if entry then
local took = redis.pcall('RPUSH', A[at + 2], text(entry, A[at + 3], A[at + 4]))
if type(took) == 'number' then done = 1 else done = took.err end
end
at = at + 5
else
if entry then
local parked, ttl = A[at + 4], tonumber(A[at + 5])
call('HSET', unacked, A[at + 2], '[' .. text(entry, A[at + 6], A[at + 7]) .. A[at + 6])
call('ZADD', index, A[at + 3], A[at + 2])
local set = redis.pcall('ZADD', parked, A[at + 3], A[at + 2])
if type(set) == 'number' and call('PTTL', parked) < ttl then call('PEXPIRE', parked, ttl) end
done = 1
end
at = at + 8
end
if done == 1 then
call('ZREM', index, tag)
call('HDEL', unacked, tag)
end
end
answers[#answers + 1] = done
end
return answers
`,
  sha: "2740691549aaf10206fd959c4118694c6b724295",
};

/**
 * Says that a consumer lives, and renews its leases. KEYS: unacked, index, beat, fleet. ARGV: now (s), the beat's time to live (ms), the
 * fleet's (ms), the consumer's id, then its tags. Answers the tags whose entry is gone.
 */
export const RENEW: Script = {
  text: `local call, A, gone = redis.call, ARGV, {}
local unacked, index, beat, fleet = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if call('PEXPIRE', beat, A[2]) == 0 then call('SET', beat, '', 'PX', A[2]) end
if type(redis.pcall('ZADD', fleet, A[1], A[4])) == 'number' then call('PEXPIRE', fleet, A[3]) end
for at = 5, #A do
if call('HEXISTS', unacked, A[at]) == 1 then call('ZADD', index, A[1], A[at])
else gone[#gone + 1] = A[at] end
end
return gone
`,
  sha: "3ef2c8d8e89ba4808322865b028e220b988060f4",
};

/**
 * Puts back what nobody works on any more, if it is still as it was seen. KEYS: unacked, index. ARGV: now (s); for each entry its tag, its instant as
 * it was read, the beat that must be gone ("" for none), the number of lists; for each list its key, the entry's tail and the text ("" for as
 * it is stored). To the front of the lists, so that the oldest entry is to come last. A tag without an entry is swept out of the index.
 *
 * Instants are compared as numbers: from 7.2 on Redis writes the same one in several ways. An entry that no list takes, as nobody is bound
 * for it (kombu would throw it away) or the key holds something else, is kept with the instant now, so that it does not stand before others.
 * One for a list that this user may not touch is left to those who may.
 *
 * Answers 1 for each that was put back, else 0.
 */
export const RESTORE: Script = {
  text: `local call, A, unacked, index = redis.call, ARGV, KEYS[1], KEYS[2]
local answers, at = {}, 2
call('HDEL', unacked, '')
while at <= #A do
local tag, beat, lists, done, barred = A[at], A[at + 2], tonumber(A[at + 3]), 0
if tonumber(call('ZSCORE', index, tag) or '') == tonumber(A[at + 1]) and (beat == '' or call('EXISTS', beat) == 0) then
local entry = call('HGET', unacked, tag)
if entry then
for list = 0, lists - 1 do
local key, tail, text = A[at + 4 + 3 * list], A[at + 5 + 3 * list], A[at + 6 + 3 * list]
if text == '' then text = string.sub(entry, 2, -1 - #tail) end
local took = redis.pcall('RPUSH', key, text)
if type(took) == 'number' then done = 1 elseif took.err:find('ACL') or took.err:find('t access') then barred = true end
end
if done == 0 and not barred then call('ZADD', index, A[1], tag) end
end
if done == 1 or not entry then
call('ZREM', index, tag)
call('HDEL', unacked, tag)
end
end
answers[#answers + 1] = done
at = at + 4 + 3 * lists
end
return answers
`,
  sha: "d6ecf4663da9ae0a1dc1028f2b44dd8d200be91e",
};
