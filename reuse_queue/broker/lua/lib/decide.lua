-- decide: an end is decided while nothing runs the job: it was killed, lost, or is too late.
-- Where the job names what is to be called at such an end, the end waits in its field
-- `reuse_decided` until a replica has taken the job, called that, and recorded it.
-- include holdings
-- include decided

-- names: whether a job's callback or webhooks are for an end of this kind.
local function names(verdict, job)
  local callback = verdict == 'failed' and job[1] or verdict ~= 'failed' and job[2] or ''
  if callback ~= '' then
    return true
  end
  for _, webhook in ipairs(verdict ~= 'canceled' and decoded(job[3]) or {}) do
    if type(webhook) == 'table' and webhook.job_status == 'failed' then
      return true
    end
  end
  return false
end

-- decide: returns whether the end waits; if not, it is to be recorded now. What has been called at
-- an end once and was ended by that itself is not called again.
local function decide(id, verdict, text, may_retry)
  local job_key = rq .. 'job:' .. id
  local job = redis.call('HMGET', job_key, 'failure_callback_name', 'stopped_callback_name',
    'webhooks', 'enqueued_at', 'reuse_decided', 'reuse_by')
  local before, run = is_decided(job[5], job[4]), job[4] or ''
  local _, end_by = limits_of(job[6])
  local late = end_by and end_by <= now_ms
  if not names(verdict, job) or (before and not (before.retry and late)) then
    return false
  end
  redis.call('HSET', job_key, 'reuse_decided', cjson.encode({verdict = verdict, text = text,
    retry = may_retry and not late or nil, run = run}))
  if late or not may_retry then
    redis.call('HDEL', job_key, 'reuse_by')
  end
  return true
end

-- decide_held: the same for a job that a replica held.
local function decide_held(held, verdict, text, may_retry)
  local waits = decide(held.id, verdict, text, may_retry)
  if waits then
    give_back(held.id, held.execution)
  end
  return waits
end
