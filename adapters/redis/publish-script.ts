/**
 * Publishing in one piece on the server, as Lua.
 *
 * @module
 */

/**
 * Binds, then publishes, once for each id. KEYS: the key that remembers the outcome. ARGV: its time to live in ms, the prefix of queues, the
 * number of bindings; for each binding its set and member; for each message a verb, a key, a routing key, a step of priority and the text.
 * The verb LPUSH (or PUBLISH) is for a known list (or channel); with "" the key is a set of bindings, which says the queues.
 *
 * Answers a line for each message: how many queues took it, or "!" and Redis's error, or "?" and the error where other queues took it. A
 * second run with the same id answers what the first one did. An error of the whole means that no message went anywhere: from the first
 * message on, nothing is called that throws.
 *
 * kombu's regular expressions, which topic bindings hold, are Lua patterns but for the sign of an escape and for `.*?`. What another program
 * bound with something else is an error of the messages to that exchange.
 */
export const PUBLISH_MESSAGES: string = `local A,at,call,try=ARGV,4+2*ARGV[3],redis.call,redis.pcall
local r=call('GET',KEYS[1])
if r then return r end
for i=4,at-1,2 do call('SADD',A[i],A[i+1]) end
if at>#A then return '' end
call('SET',KEYS[1],'','PX',A[1])
r={}
for i=at,#A,5 do
local verb,queues,n,bad=A[i],{[A[i+1]]=1},0
if verb=='' then
verb,queues='LPUSH',{}
local all=try('SMEMBERS',A[i+1])
bad=all.err
for _,m in ipairs(all) do
for key,like,queue in m:gmatch('(.-)\\6\\22(.-)\\6\\22(.*)') do
local ok,hit=true,key==A[i+2]
if like~='' then ok,hit=pcall(string.find,A[i+2],(like:gsub('\\\\','%%'):gsub('%.%*%?','.-'))) end
if not ok then bad='ERR '..hit elseif hit then queues[A[2]..queue..A[i+3]]=1 end
end end end
for queue in pairs(queues) do
local a=try(verb,queue,A[i+4])
if type(a)=='table' then bad=a.err else n=n+1 end
end
r[#r+1]=bad and (n>0 and '?' or '!')..bad or n
end
r=table.concat(r,'\\n')
try('SET',KEYS[1],r,'PX',A[1])
return r`;

/** The SHA-1 of {@link PUBLISH_MESSAGES}. */
export const PUBLISH_SHA: string = "0f7284d073adc1ec2fd08ad12a683f5383cc7f5e";
