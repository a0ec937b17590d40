-- claim: give a replica jobs, started and leased to it in the same step.
-- KEYS  1 queue, 2 urgent, 3 its waiting list, 4 wip, 5 environment, 6 replica, 7 worker,
--       8 the worker's executions, 9 held
-- ARGV  1 rq's prefix, 2 replica, 3 seconds that the records of an execution last without renewal,
--       4 … a new execution id for each job that is wanted
-- returns {why nothing is given or '', backlog left, replicas that claim, idle ones, number of jobs,
--       for each job: id, execution, data, timeout, result_ttl, losses, retries_left, enqueued_at,
--       then the ids that were dropped because there was nothing to run}
-- include start
local queue_key, urgent_key, waiting_key, wip_key, env_key, replica_key, worker_key, holds_key,
  held_key = unpack(KEYS)
local wanted, seen = #ARGV - 3, 0

local function take(list_key)
  while given < wanted and seen < 1000 do
    local ids = redis.call('LPOP', list_key, wanted - given)
    if not ids then
      return
    end
    seen = seen + #ids
    for _, id in ipairs(ids) do
      start(id)
    end
  end
end

local refused = ''
local state = redis.call('HGET', replica_key, 'state')
local halt = redis.call('HMGET', env_key, 'paused', 'drained')
if not state or halt[1] == '1' or halt[2] == '1' then
  refused = state and 'paused' or 'lost'
  while redis.call('LMOVE', waiting_key, queue_key, 'RIGHT', 'LEFT') do end
else
  take(waiting_key)
  if state == 'ready' then
    take(urgent_key)
    take(queue_key)
  elseif given == 0 then
    refused = state == 'stopping' and 'draining' or state
  end
end

if given > 0 then
  redis.call('ZADD', wip_key, unpack(leases))
  redis.call('SADD', holds_key, unpack(members))
  redis.call('EXPIRE', holds_key, lasts)
end
local holds = redis.call('SCARD', holds_key)
if given > 0 and holds == given then
  redis.call('HSET', worker_key, 'state', 'busy')
  redis.call('HSET', replica_key, 'idle_since', '')
end
if state == 'ready' then
  redis.call('ZADD', held_key, holds, replica)
else
  redis.call('ZREM', held_key, replica)
end
local reply = {refused, redis.call('LLEN', queue_key) + redis.call('LLEN', urgent_key),
  redis.call('ZCARD', held_key), redis.call('ZCOUNT', held_key, 0, 0), given}
for at = 1, #jobs do
  reply[5 + at] = jobs[at]
end
for _, id in ipairs(dropped) do
  reply[#reply + 1] = id
end
return reply
