-- cancel: end jobs that wait, order the end of those that run.
-- KEYS  those of books, then 14 urgent, 15 deferred, 16 ready
-- ARGV  those of books, then 5 … ids
-- returns the status that each had, nil where there is no such job; then the ids of those whose
--       children are to be canceled, too
-- flags allow-oom
-- include slot
-- include take_out
-- include fell
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

sound_books()
local statuses, parents = {}, {}
for at = 5, #ARGV do
  local id = ARGV[at]
  local job = read({}, 'HMGET', rq .. 'job:' .. id, 'status', 'worker_name', 'rate_limit_key',
    'reuse_awaited', 'reuse_children')
  statuses[at - 4] = job[1]
  if job[5] and (job[1] == 'started' or WAITING[job[1]]) then
    fell(id, job[5])
    parents[#parents + 1] = id
  end
  if job[1] == 'started' then
    order_end(id, job[2] or '')
  elseif WAITING[job[1]] then
    end_waiting(id, job[1], job[3], job[4])
  end
end
deliver()
for _, id in ipairs(parents) do statuses[#statuses + 1] = id end
return statuses
