-- requeue: put jobs that failed, or were canceled or stopped, back into their queue.
-- KEYS  those of books, then 14 limits
-- ARGV  those of books, then for each job: id, when it was enqueued last (a repeat, whose first try
--       was done and not heard of, finds another time there)
-- returns the status that each had, nil where there is no such job
-- flags allow-oom
-- include push
-- include limits
local REGISTRY = {failed = failed_key, stopped = failed_key, canceled = canceled_key}
sound_books()
local statuses = {}
for at = 5, #ARGV, 2 do
  local id = ARGV[at]
  local job_key = rq .. 'job:' .. id
  local job = read({}, 'HMGET', job_key, 'status', 'reuse_queue_timeout', 'reuse_deadline',
    'enqueued_at')
  local status = job[1]
  statuses[#statuses + 1] = status
  if REGISTRY[status] and (job[4] or '') == ARGV[at + 1] then
    redis.call('ZREM', REGISTRY[status], id)
    redis.call('HSET', job_key, 'started_at', '', 'ended_at', '', 'worker_name', '')
    redis.call('HDEL', job_key, 'reuse_losses', 'reuse_deaths', 'reuse_by', 'reuse_given_up',
      'reuse_decided')
    set_limits(KEYS[14], job_key, id, 0, job[2], job[3])
    -- It must not expire while it waits.
    redis.call('PERSIST', job_key)
    redis.call('PERSIST', job_key .. ':dependents')
    redis.call('PERSIST', rq .. 'job::' .. id .. ':dependencies')
    redis.call('EXPIRE', own .. 'children:' .. id, 31536000)
    push(env, id, false)
  end
end
if pushed > 0 then
  wake(env_key, channel, env)
end
return statuses
