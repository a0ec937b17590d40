-- ready: a replica's on_start hooks have returned: it may claim.
-- KEYS  those of roll, then 4 the worker
-- ARGV  those of roll, then 6 replica
-- returns 1 ready, 0 it is drained or off the books
-- flags allow-oom
-- include roll
local name = ARGV[6]
local state = redis.call('HGET', replica_key(name), 'state')
if state == 'starting' then
  redis.call('HSET', replica_key(name), 'state', 'ready', 'ready_at', now_ms, 'idle_since', now_ms)
  redis.call('ZADD', held_key, 0, name)
  if redis.call('EXISTS', KEYS[4]) == 1 then
    redis.call('HSET', KEYS[4], 'state', 'idle')
  end
  nudge(env_key, channel, env)
  return 1
end
return state == 'ready' and 1 or 0
