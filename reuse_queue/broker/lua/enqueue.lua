-- enqueue: write jobs and push their ids; a job that is there already is left as it is.
-- KEYS  1 queue, 2 urgent, 3 scheduled, 4 all queues, 5 environment, 6 limits
-- ARGV  1 prefix of the keys of jobs, 2 environment, 3 wake channel, then for each job: its id,
--       '<delay>,<queue_timeout>,<deadline>' (s; each may be empty, '' for none), 1 if urgent, how
--       many words follow, its fields and values
-- returns how many were new
-- include limits
-- include wake
local queue_key, urgent_key, scheduled_key, queues_key, env_key = unpack(KEYS)
local jobs_prefix, env, channel = unpack(ARGV, 1, 3)
local high, normal, delayed, at = {}, {}, {}, 4

local function write(job_key, status, first, last)
  redis.call('HSET', job_key, 'status', status, 'created_at', now_stamp, 'started_at', '',
    'ended_at', '', 'last_heartbeat', '', 'worker_name', '', 'group_id', '',
    'success_callback_name', '', 'failure_callback_name', '', 'stopped_callback_name', '',
    unpack(ARGV, first, last))
end

while at <= #ARGV do
  local id, times, urgent, words = unpack(ARGV, at, at + 3)
  local job_key, first, delay = jobs_prefix .. id, at + 4, 0
  at = first + words
  local new = redis.call('EXISTS', job_key) == 0
  if new and times ~= '' then
    local waits, queue_timeout, deadline = string.match(times, '^(.*),(.*),(.*)$')
    delay = tonumber(waits) or 0
    set_limits(KEYS[6], job_key, id, delay, queue_timeout, deadline)
  end
  if new and delay > 0 then
    write(job_key, 'scheduled', first, at - 1)
    delayed[#delayed + 1] = string.format('%.3f', seconds + delay)
    delayed[#delayed + 1] = id
  elseif new then
    write(job_key, 'queued', first, at - 1)
    redis.call('HSET', job_key, 'enqueued_at', now_stamp)
    local ids = urgent == '1' and high or normal
    ids[#ids + 1] = id
  end
end

if #high > 0 then
  -- Replicas that wait watch the queue alone; none waits while something is in it.
  local waits_here = redis.call('LLEN', queue_key) == 0
  redis.call('RPUSH', waits_here and queue_key or urgent_key, unpack(high))
end
if #normal > 0 then
  redis.call('RPUSH', queue_key, unpack(normal))
end
if #delayed > 0 then
  redis.call('ZADD', scheduled_key, unpack(delayed))
end
local count = #high + #normal
if count + #delayed > 0 then
  redis.call('SADD', queues_key, queue_key)
end
if count > 0 then
  wake(env_key, channel, env)
end
return count + #delayed / 2
