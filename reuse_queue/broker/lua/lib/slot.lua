-- slot: rq's RateLimit: an ended job's slot goes to the job that has waited longest for one.
-- include records
local function release_slot(id, limit)
  if not limit or redis.call('HGET', rq .. 'job:' .. id, 'status') == 'queued' then
    return
  end
  local allowed_key = rq .. 'rl:' .. limit .. ':allowed'
  redis.call('ZREM', allowed_key, id)
  local most = tonumber(redis.call('HGET', rq .. 'rl:' .. limit, 'concurrency')) or 0
  while redis.call('ZCARD', allowed_key) < most do
    local next_id = redis.call('ZPOPMIN', rq .. 'rl:' .. limit .. ':rate_limited')[1]
    if not next_id then
      return
    end
    local job_key = rq .. 'job:' .. next_id
    local job = redis.call('HMGET', job_key, 'status', 'origin', 'enqueue_at_front')
    if job[1] == 'rate_limited' and job[2] then
      redis.call('ZADD', allowed_key, math.floor(seconds), next_id)
      redis.call('HSET', job_key, 'status', 'queued', 'enqueued_at', now_stamp)
      redis.call(job[3] == '1' and 'LPUSH' or 'RPUSH', rq .. 'queue:' .. job[2], next_id)
      pushed = pushed + 1
    end
  end
end
