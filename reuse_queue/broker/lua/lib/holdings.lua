-- holdings: what a replica holds, in the order in which it claimed it, and how it goes back.
-- include settle
local front = {}

local function holdings(holds_key)
  local held = {}
  for _, member in ipairs(read({}, 'SMEMBERS', holds_key)) do
    local id, execution = string.match(member, '^([^:]+):(.+)$')
    if id then
      local created = tonumber(read(false, 'HGET', rq .. 'execution:' .. member, 'created_at'))
      held[#held + 1] = {id = id, execution = execution, member = member,
        created = created or 0, took = math.max(0, seconds - (created or seconds))}
    end
  end
  table.sort(held, function(one, other)
    if one.created == other.created then
      return one.member < other.member
    end
    return one.created < other.created
  end)
  return held
end

-- give_back: a job returns to the queue as if it had never been claimed.
local function give_back(id, execution, at_back)
  local job_key = rq .. 'job:' .. id
  forget(id, execution)
  redis.call('HSET', job_key, 'status', 'queued', 'started_at', '', 'worker_name', '')
  local ttl = redis.call('HGET', job_key, 'ttl')
  if tonumber(ttl) then
    redis.call('EXPIRE', job_key, ttl)
  end
  pushed = pushed + 1
  if at_back then
    redis.call('RPUSH', queue_key, id)
  else
    front[#front + 1] = id
  end
end

-- return_front: what goes to the front, before it the ids that only lay in a waiting list.
local function return_front(waiting_key)
  for at = #front, 1, -1 do
    redis.call('LPUSH', queue_key, front[at])
  end
  front = {}
  while read(false, 'LMOVE', waiting_key, queue_key, 'RIGHT', 'LEFT') do
    pushed = pushed + 1
  end
end
