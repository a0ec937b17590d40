-- settle: the end of executions, in rq's format.
-- What can wait for the rest of a batch is collected, for flush() to write.
-- include records
-- include later
-- include repeating
-- include dependents
local kept, parents = {}, {}

local function succeed(id, execution, holder, payload, ttl, took, repeats)
  forget(id, execution)
  close(id, 'finished', took)
  if ttl ~= 0 then
    record(id, 1, holder, execution, took, ttl, 'return_value', payload)
    kept[#kept + 1] = ttl < 0 and '+inf' or math.floor(seconds) + ttl
    kept[#kept + 1] = id
  end
  if repeats > 0 then
    release_dependents(id, 'finished')
    return start_over(id, repeats)
  elseif ttl == 0 then
    release_dependents(id, 'finished')
    return delete(id)
  elseif ttl > 0 then
    redis.call('EXPIRE', rq .. 'job:' .. id, ttl)
  end
  parents[#parents + 1] = {id, ttl}
end

local function cancel(id, execution, took)
  forget(id, execution)
  close(id, 'canceled', took)
  redis.call('HDEL', rq .. 'job:' .. id, 'reuse_decided')
  redis.call('ZADD', canceled_key, math.floor(seconds), id)
end
