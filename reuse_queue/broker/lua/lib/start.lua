-- start: jobs that have left the queue become executions of one replica, or are dropped.
-- KEYS and ARGV  those of claim
-- include time_left
local queue_key, urgent_key, waiting_key, wip_key, env_key, replica_key, worker_key, holds_key,
  held_key = unpack(KEYS)
local rq, replica, lasts, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[7]
-- rq lets an id be pushed whose job has no status yet.
local RUNNABLE = {queued = true, created = true, [''] = true}
local given, jobs, leases, members, dropped = 0, {}, {}, {}, {}

local function start(id)
  local job_key = rq .. 'job:' .. id
  -- pcall: what has left the queue must not be lost for one key of a wrong type.
  local job = redis.pcall('HMGET', job_key, 'status', 'data', 'timeout', 'result_ttl',
    'reuse_losses', 'retries_left', 'enqueued_at', 'reuse_once', 'reuse_by',
    'success_callback_name', 'failure_callback_name', 'stopped_callback_name', 'webhooks')
  local ends_in = job[9] and time_left(id, job[9])
  if not RUNNABLE[job[1] or ''] or not (job[1] or job[2]) or ends_in == nil then
    dropped[#dropped + 1] = id
    return
  end
  given = given + 1
  local at, execution = #jobs, given == 1 and token or string.sub(token, 1, 24)
    .. string.format('%08x', given)
  local member = id .. ':' .. execution
  -- A microsecond apart: release puts jobs back in the order in which they were claimed.
  local created = string.format('%.6f', seconds + given / 1000000)
  redis.call('HSET', job_key, 'status', 'started', 'started_at', now_stamp, 'last_heartbeat',
    now_stamp, 'worker_name', replica)
  redis.call('PERSIST', job_key)
  redis.call('HSET', rq .. 'execution:' .. member, 'id', execution, 'job_id', id, 'created_at',
    created, 'last_heartbeat', created, 'worker_name', replica)
  redis.call('EXPIRE', rq .. 'execution:' .. member, lasts)
  redis.pcall('ZADD', rq .. 'executions:' .. id, now_ms / 1000 + lasts, execution)
  redis.call('EXPIRE', rq .. 'executions:' .. id, lasts)
  leases[#leases + 1] = math.floor(seconds) + lasts
  leases[#leases + 1] = member
  members[given] = member
  jobs[at + 1], jobs[at + 2], jobs[at + 3], jobs[at + 4] = id, execution, job[2] or '', job[3]
  jobs[at + 5], jobs[at + 6], jobs[at + 7], jobs[at + 8] = job[4], job[5], job[6], job[7]
  jobs[at + 9], jobs[at + 10], jobs[at + 11] = job[8], ends_in, callbacks(job_key, job, 10, job[7])
end

-- hold: note what all those that were started have in common; returns whether it was idle before.
local function hold(state)
  if given > 0 then
    redis.call('ZADD', wip_key, unpack(leases))
    redis.call('SADD', holds_key, unpack(members))
    redis.call('EXPIRE', holds_key, lasts)
  end
  local holds = redis.call('SCARD', holds_key)
  local was_idle = given > 0 and holds == given
  if was_idle then
    redis.pcall('HSET', worker_key, 'state', 'busy')
    redis.call('HSET', replica_key, 'idle_since', '')
  end
  local ready = state == 'ready'
  redis.call(ready and 'ZADD' or 'ZREM', held_key, unpack(ready and {holds, replica} or {replica}))
  return was_idle
end
