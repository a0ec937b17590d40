-- expire: fail the jobs that still wait when their queue_timeout or their deadline is over.
-- KEYS  those of due
-- include end_waiting
-- include late
local limits_key, AGAIN_MS = KEYS[16], 5000
-- What a claim would start, and what is to become that.
local WAITS = {queued = true, created = true, scheduled = true}

local function too_late(id, start_by, job)
  if start_by and start_by <= now_ms then
    return string.format('QueueTimeout: job %s was not started within its queue_timeout of %s s',
      id, job[3] or '?')
  end
  return late(id, job[4])
end

-- expire: returns when to look at the job again (ms), nil for never.
local function expire(id)
  local job = redis.call('HMGET', rq .. 'job:' .. id, 'status', 'reuse_by', 'reuse_queue_timeout',
    'reuse_deadline', 'failure_ttl', 'reuse_awaited', 'reuse_children', 'enqueued_at',
    'reuse_decided')
  local start_by, end_by = limits_of(job[2])
  local first = math.min(start_by or end_by or 0, end_by or start_by or 0)
  if first > now_ms then
    return first
  elseif first > 0 and WAITS[job[1]] then
    local waited_for = is_decided(job[9], job[8])
    local text = 'reuse_queue.errors.' .. too_late(id, start_by, job)
    local again = call_first(id, job, text)
    if again then return again end
    end_waiting(id, job, waited_for and waited_for.text or text)
  elseif first > 0 and job[1] == 'started' then
    -- Its replica keeps the deadline of what runs; it may still come back to the queue.
    return now_ms + AGAIN_MS
  end
  return nil
end

local function expire_all(limit)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', limits_key, '-inf', now_ms, 'LIMIT', 0, limit)) do
    -- One job's broken record must not keep the others waiting.
    local done, again = pcall(expire, id)
    if done and again then
      redis.call('ZADD', limits_key, again, id)
    else
      redis.call('ZREM', limits_key, id)
    end
  end
end
