-- register: an ordered replica's process is there; rq sees it as a worker from now on.
-- KEYS  those of roll, then 4 workers, 5 the queue's workers, 6 the worker
-- ARGV  those of roll, then 6 replica, 7 pid, 8 seconds that the worker's record lasts,
--       9 … fields and values of the worker's record
-- returns 1 registered, 0 it is not wanted
-- flags allow-oom
-- include roll
local name, pid = ARGV[6], ARGV[7]
local seen = redis.call('HMGET', replica_key(name), 'state', 'pid')
-- The second: the reply to a first call was lost.
if seen[1] ~= 'ordered' and not (seen[1] == 'starting' and seen[2] == pid) then
  return 0
end
redis.call('HSET', replica_key(name), 'state', 'starting', 'started_at', now_ms, 'pid', pid)
redis.call('DEL', KEYS[6])
redis.call('HSET', KEYS[6], 'birth', now_stamp, 'last_heartbeat', now_stamp, 'queues', env,
  'pid', pid, 'state', 'started', unpack(ARGV, 9))
redis.call('EXPIRE', KEYS[6], ARGV[8])
redis.call('SADD', KEYS[4], KEYS[6])
redis.call('SADD', KEYS[5], KEYS[6])
return 1
