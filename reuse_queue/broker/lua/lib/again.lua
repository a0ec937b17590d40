-- again: ends that only rq's own ways of working know.
-- include fail

-- again: a job that returned rq's Retry is to run again, at once or after `delay` seconds.
local function again(id, execution, holder, payload, delay, took, first)
  local job_key = rq .. 'job:' .. id
  local ttl = lasting(redis.call('HGET', job_key, 'failure_ttl'))
  forget(id, execution)
  close(id, 'retried', took)
  if ttl ~= 0 then
    record(id, 4, holder, execution, took, ttl, 'return_value', payload)
  end
  redis.call('HINCRBY', job_key, 'number_of_retries', 1)
  if first then
    redis.call('HSET', job_key, 'enqueue_at_front_on_retry', '1')
  end
  if delay > 0 then
    schedule(id, delay)
  else
    requeue(id, first)
  end
end

-- exhaust: it returned Retry once more than that allows.
local function exhaust(id, execution, holder, payload, took)
  forget(id, execution)
  close(id, 'failed', took)
  release_dependents(id, 'failed')
  local ttl = lasting(redis.call('HGET', rq .. 'job:' .. id, 'failure_ttl'))
  bury(id, ttl, 5, holder, execution, took, 'return_value', payload)
end

-- halt: it was stopped while it ran, for good: nothing that waits for it runs.
local function halt(id, execution, holder, text, took)
  forget(id, execution)
  close(id, 'stopped', took)
  redis.call('HDEL', rq .. 'job:' .. id, 'reuse_decided')
  local ttl = lasting(redis.call('HGET', rq .. 'job:' .. id, 'failure_ttl'))
  bury(id, ttl, 2, holder, execution, took, 'exc_string', text)
end
