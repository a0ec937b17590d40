-- depart: a drained replica leaves for good, unless the drain was called off.
-- KEYS  those of roll
-- ARGV  those of roll, then 6 replica
-- returns 1 it may go, 0 it is to claim again, or still holds something
-- flags allow-oom
-- include roll
local name = ARGV[6]
if redis.call('HGET', replica_key(name), 'state') ~= 'draining' or busy(name) then
  return 0
end
redis.call('HSET', replica_key(name), 'state', 'stopping')
return 1
