-- fell: which children are to be canceled with a job whose own end says so.
-- KEYS  1 felled
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys, 3 the job, '' for any that is noted,
--       4 how many of its children are done with, 5 how many to look at
-- returns {the job, how many are done with when these are}, and the ids of those that go on and are
--       not detached; the job alone where none is left, nothing where no such job is noted
-- flags allow-oom
local rq, own, id = unpack(ARGV, 1, 3)
local GOES_ON = {created = true, queued = true, deferred = true, scheduled = true,
  ready_to_enqueue = true, rate_limited = true, started = true}
if id == '' then id = redis.call('HRANDFIELD', KEYS[1]) end
local noted = id and redis.call('HGET', KEYS[1], id)
if not noted then return {} end

local from, last = string.match(noted, '^(%d+),(%d+)$')
local done = math.max(tonumber(from) or 0, tonumber(ARGV[4]) or 0)
local listed = redis.pcall('ZRANGEBYSCORE', own .. 'children:' .. id, '(' .. done, last or done,
  'WITHSCORES', 'LIMIT', 0, ARGV[5])
if #listed == 0 then
  redis.call('HDEL', KEYS[1], id)
  local ttl = redis.call('TTL', rq .. 'job:' .. id)
  if ttl ~= -1 then redis.call('EXPIRE', own .. 'children:' .. id, ttl) end
  return {id}
end
-- Who comes after one that did not finish goes on from what that one had done.
redis.call('HSET', KEYS[1], id, done .. ',' .. last)
local reply = {id, tonumber(listed[#listed])}
for at = 1, #listed, 2 do
  local child = redis.pcall('HMGET', rq .. 'job:' .. listed[at], 'status', 'reuse_detached')
  if GOES_ON[child[1]] and child[2] ~= '1' then
    reply[#reply + 1] = listed[at]
  end
end
return reply
