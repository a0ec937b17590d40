-- settle: the end of executions, in rq's format.
-- What can wait for the rest of a batch is collected; flush() writes it, once, at the end.
-- include records
-- include repeating
-- include dependents
local CHUNK = 1000 -- Lua's unpack has a limit
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
  redis.call('ZADD', canceled_key, math.floor(seconds), id)
end

-- release_kin: one question for the whole batch, since few jobs have dependents.
local function release_kin()
  local kin = {}
  for at, parent in ipairs(parents) do
    kin[2 * at - 1] = rq .. 'job:' .. parent[1] .. ':dependents'
    kin[2 * at] = rq .. 'job::' .. parent[1] .. ':dependencies'
  end
  if #kin == 0 or redis.call('EXISTS', unpack(kin)) == 0 then
    return
  end
  for at, parent in ipairs(parents) do
    release_dependents(parent[1], 'finished')
    if parent[2] > 0 then
      redis.call('EXPIRE', kin[2 * at - 1], parent[2])
      redis.call('EXPIRE', kin[2 * at], parent[2])
    end
  end
end

local function flush()
  for from = 1, #gone, CHUNK do
    redis.call('DEL', unpack(gone, from, math.min(from + CHUNK - 1, #gone)))
  end
  if #kept > 0 then
    redis.call('ZADD', finished_key, unpack(kept))
  end
  release_kin()
  for _, what in ipairs({'finished', 'failed'}) do
    if tally[what] > 0 then
      redis.call('HINCRBY', env_key, what, tally[what])
    end
  end
  if pushed > 0 then
    wake(env_key, channel, env)
  end
end
