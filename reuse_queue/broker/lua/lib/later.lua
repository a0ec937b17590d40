-- later: a job is to run again, at once or after a while.
-- include records

-- requeue: push a job that is to run again.
local function requeue(id, at_front)
  redis.call('HSET', rq .. 'job:' .. id, 'status', 'queued', 'enqueued_at', now_stamp)
  redis.call(at_front and 'LPUSH' or 'RPUSH', queue_key, id)
  pushed = pushed + 1
end

-- schedule: let a job that is to run again wait first.
local function schedule(id, delay)
  redis.call('HSET', rq .. 'job:' .. id, 'status', 'scheduled')
  redis.call('ZADD', scheduled_key, string.format('%.3f', seconds + delay), id)
end
