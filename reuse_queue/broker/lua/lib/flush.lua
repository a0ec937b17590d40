-- flush: write, once, what has been collected while a batch was settled.
-- include settle
local CHUNK = 1000 -- Lua's unpack has a limit

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
  deliver()
  for from = 1, #gone, CHUNK do
    redis.call('DEL', unpack(gone, from, math.min(from + CHUNK - 1, #gone)))
  end
  if #kept > 0 then
    redis.pcall('ZADD', finished_key, unpack(kept))
  end
  release_kin()
  for _, what in ipairs({'finished', 'failed'}) do
    if tally[what] > 0 then
      redis.pcall('HINCRBY', env_key, what, tally[what])
    end
  end
  if pushed > 0 then
    wake(env_key, channel, env)
  end
end
