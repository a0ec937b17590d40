-- push: a job enters its queue; one with a rate limit (rq's RateLimit) when it has a slot.
-- include slot
local function admit(id, limit, most)
  redis.call('SADD', rq .. 'rl-keys', limit)
  if most then
    redis.call('HSET', rq .. 'rl:' .. limit, 'concurrency', most)
  end
  redis.call('HSET', rq .. 'job:' .. id, 'status', 'rate_limited')
  redis.call('ZADD', rq .. 'rl:' .. limit .. ':rate_limited', math.floor(seconds), id)
  release_slot(id, limit)
end

-- goes_first: whether a job is to be put before those that wait already, by rq's rule.
local function goes_first(id)
  local job = redis.call('HMGET', rq .. 'job:' .. id, 'enqueue_at_front',
    'enqueue_at_front_on_retry', 'ended_at')
  return job[1] == '1' or (job[2] == '1' and (job[3] or '') ~= '')
end

local function push(origin, id, first)
  local job_key, origin_key = rq .. 'job:' .. id, rq .. 'queue:' .. origin
  local job = redis.call('HMGET', job_key, 'ttl', 'rate_limit_key', 'rate_limit_concurrency')
  lapse_in(job_key, job[1])
  lapse_in(job_key .. ':dependents', job[1])
  lapse_in(rq .. 'job::' .. id .. ':dependencies', job[1])
  redis.pcall('SADD', rq .. 'queues', origin_key)
  if job[2] and job[2] ~= '' then
    return admit(id, job[2], job[3])
  end
  redis.call(first and 'LPUSH' or 'RPUSH', origin_key, id)
  redis.call('HSET', job_key, 'status', 'queued', 'enqueued_at', now_stamp)
  if origin == env then
    pushed = pushed + 1
    return
  end
  -- Another environment's own keys are named as this one's are.
  local tail = string.sub(own, -2) == '}:' and '}:' or ':'
  local head = string.sub(own, 1, #own - #env - #tail)
  wake(head .. origin .. tail .. 'environment', channel, origin)
end
