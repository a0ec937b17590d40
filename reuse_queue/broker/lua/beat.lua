-- beat: extend a replica's lease and all that hangs on it, and bring its orders.
-- KEYS  those of extend, then 3 replica, 4 cancels
-- ARGV  those of extend, then 4 replica, 5 grace of a drain because the host stops (ms), 6 how many
--       of its jobs only wait for others
-- returns {state, drain reason, 1 if that grace is over, executions to cancel …}; {} off the books
-- flags allow-oom
-- include extend
local seen = redis.call('HMGET', KEYS[3], 'state', 'drain_reason', 'drain_at',
  'away')
if not seen[1] or not extend(ARGV[4]) then
  return {}
end
if (seen[4] or '0') ~= ARGV[6] then
  redis.call('HSET', KEYS[3], 'away', ARGV[6])
end
local over = seen[2] == 'host stops' and now_ms - (tonumber(seen[3]) or now_ms) > tonumber(ARGV[5])
local reply = {seen[1], seen[2] or '', over and 1 or 0}
for at, execution in ipairs(redis.pcall('SMEMBERS', KEYS[4])) do
  reply[3 + at] = execution
end
return reply
