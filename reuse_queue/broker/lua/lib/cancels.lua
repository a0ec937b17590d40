-- cancels: the end of a job that waits, and the order to end one that runs.
-- KEYS  those of books, then 14 urgent, 15 deferred, 16 ready
-- include slot
-- include take_out
local urgent_key, deferred_key, ready_key = unpack(KEYS, 14, 16)
local REGISTRY = {deferred = deferred_key, scheduled = scheduled_key, ready_to_enqueue = ready_key}
local WAITING = {created = true, queued = true, deferred = true, scheduled = true,
  ready_to_enqueue = true, rate_limited = true}

local function end_waiting(id, status, limit, awaited)
  redis.call('HSET', rq .. 'job:' .. id, 'status', 'canceled')
  redis.call('ZADD', canceled_key, math.floor(seconds), id)
  redis.call('ZREM', own .. 'limits', id)
  tell(id, awaited)
  if status == 'queued' and take_out(queue_key, id) == 0 then
    take_out(urgent_key, id)
  elseif REGISTRY[status] then
    redis.call('ZREM', REGISTRY[status], id)
  end
  if limit and limit ~= '' then
    redis.call('ZREM', rq .. 'rl:' .. limit .. ':rate_limited', id)
    release_slot(id, limit)
  end
end

-- order_end: in words that make a replica beat, and that rq's own workers obey.
local function order_end(id, holder)
  if redis.call('EXISTS', own .. 'replica:' .. holder) == 1 then
    for _, execution in ipairs(read({}, 'ZRANGE', rq .. 'executions:' .. id, 0, -1)) do
      redis.pcall('SADD', own .. 'cancels:' .. holder, execution)
    end
  end
  redis.call('PUBLISH', rq .. 'pubsub:' .. holder,
    cjson.encode({command = 'stop-job', job_id = id}))
end
