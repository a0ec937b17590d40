-- holdings: what a replica holds, in the order in which it claimed it, and how it goes back.
-- include settle
-- include limits
local front = {}

local function holding(member)
  local id, execution = string.match(member, '^(.+):([^:]+)$')
  if not id then
    return nil
  end
  local created = tonumber(read(false, 'HGET', rq .. 'execution:' .. member, 'created_at'))
  return {id = id, execution = execution, member = member, created = created or 0,
    took = math.max(0, seconds - (created or seconds))}
end

local function holdings(holds_key)
  local held = {}
  for _, member in ipairs(read({}, 'SMEMBERS', holds_key)) do
    held[#held + 1] = holding(member)
  end
  table.sort(held, function(one, other)
    if one.created == other.created then
      return one.member < other.member
    end
    return one.created < other.created
  end)
  return held
end

-- give_back: a job returns to the queue as if it had never been claimed. One that another job has
-- enqueued always to its front: who waits for it may have left room for nothing that is behind.
local function give_back(id, execution, at_back)
  local job_key = rq .. 'job:' .. id
  forget(id, execution)
  redis.call('HSET', job_key, 'status', 'queued', 'started_at', '', 'worker_name', '')
  local job = redis.call('HMGET', job_key, 'ttl', 'reuse_by', 'reuse_parent')
  lapse_in(job_key, job[1])
  waited(job_key, job[2])
  pushed = pushed + 1
  if at_back and not job[3] then
    redis.call('RPUSH', queue_key, id)
  else
    front[#front + 1] = id
  end
end

-- return_waiting: push ids that nobody has claimed. Before return_front: they are younger.
local function return_waiting(list_key)
  while read(false, 'LMOVE', list_key, queue_key, 'RIGHT', 'LEFT') do
    pushed = pushed + 1
  end
end

local function return_front()
  for at = #front, 1, -1 do
    redis.call('LPUSH', queue_key, front[at])
  end
  front = {}
end
