-- fail: what becomes of a job whose execution failed: another try where one is left, else the
-- failed registry.
-- include retry
-- include lasting

-- bury: keep a job that has failed for the last time, in the failed registry and with a result.
local function bury(id, ttl, kind, holder, execution, took, field, payload)
  if ttl == 0 then
    return delete(id)
  end
  record(id, kind, holder, execution, took, ttl, field, payload)
  redis.call('ZADD', failed_key, ttl < 0 and ttl or math.floor(seconds) + ttl, id)
  if ttl > 0 then
    keep_for(id, ttl)
  end
end

-- fail: `text` is the traceback in rq's encoding. Returns whether the job will be retried.
local function fail(id, execution, holder, text, took, may_retry)
  local job_key = rq .. 'job:' .. id
  local job = redis.call('HMGET', job_key, 'retries_left', 'retry_intervals', 'failure_ttl',
    'enqueue_at_front_on_retry', 'ttl', 'reuse_by', 'reuse_decided')
  local left = whole(job[1])
  local delay = may_retry and left > 0 and pause(job[2], left)
  forget(id, execution)
  if job[7] then
    redis.call('HDEL', job_key, 'reuse_decided')
  end
  if delay and in_time(job[6], delay) then
    close(id, 'retried', took)
    retry(id, job, left, delay)
    return true
  end
  close(id, 'failed', took)
  if job[6] then
    redis.call('HDEL', job_key, 'reuse_by')
  end
  release_dependents(id, 'failed')
  bury(id, lasting(job[3]), 2, holder, execution, took, 'exc_string', text)
  return false
end
