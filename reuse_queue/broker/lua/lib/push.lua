-- push: a job enters its queue; one with a rate limit (rq's RateLimit) when it has a slot.
-- `to_back`: whatever its fields say of the front.
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

local function push(origin, id, to_back)
  local job_key, origin_key = rq .. 'job:' .. id, rq .. 'queue:' .. origin
  local job = redis.call('HMGET', job_key, 'ttl', 'enqueue_at_front', 'enqueue_at_front_on_retry',
    'ended_at', 'rate_limit_key', 'rate_limit_concurrency')
  local ttl = tonumber(job[1]) or 0
  if ttl > 0 then
    redis.call('EXPIRE', job_key, ttl)
    redis.call('EXPIRE', job_key .. ':dependents', ttl)
    redis.call('EXPIRE', rq .. 'job::' .. id .. ':dependencies', ttl)
  end
  redis.call('SADD', rq .. 'queues', origin_key)
  if job[5] and job[5] ~= '' then
    return admit(id, job[5], job[6])
  end
  local tried = job[4] and job[4] ~= ''
  local at_front = not to_back and (job[2] == '1' or (tried and job[3] == '1'))
  redis.call('HSET', job_key, 'status', 'queued', 'enqueued_at', now_stamp)
  redis.call(at_front and 'LPUSH' or 'RPUSH', origin_key, id)
  if origin == env then
    pushed = pushed + 1
    return
  end
  -- Another environment's own keys are named as this one's are.
  local tail = string.sub(own, -2) == '}:' and '}:' or ':'
  local head = string.sub(own, 1, #own - #env - #tail)
  wake(head .. origin .. tail .. 'environment', channel, origin)
end
