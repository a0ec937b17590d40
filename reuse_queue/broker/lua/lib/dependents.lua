-- dependents: the jobs that waited for one that has ended, and for nothing else any more, may run,
-- each in its own queue. A failed job releases only those that allow failures.
-- include push
local function met(id, parent, enough)
  for _, other in ipairs(read({}, 'SMEMBERS', rq .. 'job::' .. id .. ':dependencies')) do
    -- As in rq, a dependency whose record is gone holds nobody up.
    local status = other ~= parent and read(false, 'HGET', rq .. 'job:' .. other, 'status')
    if status and not enough[status] then
      return false
    end
  end
  return true
end

-- ready: its queue is none; `due` will try again.
local function ready(origin, id)
  redis.call('ZADD', rq .. 'ready:' .. origin, math.floor(seconds), id)
  redis.call('HSET', rq .. 'job:' .. id, 'status', 'ready_to_enqueue')
end

-- release_dependents: `outcome` is the parent's: finished or failed.
local function release_dependents(parent, outcome)
  local dependents_key = rq .. 'job:' .. parent .. ':dependents'
  for _, id in ipairs(read({}, 'SMEMBERS', dependents_key)) do
    local job = read({}, 'HMGET', rq .. 'job:' .. id, 'status', 'origin',
      'allow_dependency_failures')
    local enough = {finished = true, failed = job[3] == '1'}
    if job[1] == 'deferred' and job[2] and enough[outcome] and met(id, parent, enough)
      and (pcall(push, job[2], id, goes_first(id)) or pcall(ready, job[2], id)) then
      redis.pcall('ZREM', rq .. 'deferred:' .. job[2], id)
      redis.call('SREM', dependents_key, id)
    end
  end
end
