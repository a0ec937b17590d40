-- roll: an environment's replicas, for the steps that change what one is to do.
-- KEYS  1 replicas, 2 held, 3 environment
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys, 3 environment, 4 wake channel,
--       5 what the orders channel of a host starts with
-- include now
-- include wake
local replicas_key, held_key, env_key = unpack(KEYS, 1, 3)
local rq, own, env, channel, orders = unpack(ARGV, 1, 5)

local function replica_key(name)
  return own .. 'replica:' .. name
end

local function holds(name)
  return redis.call('SCARD', rq .. 'worker:' .. name .. ':executions')
end

-- busy: it holds jobs, or an id that it is about to claim.
local function busy(name)
  return holds(name) > 0 or redis.call('LLEN', own .. 'waiting:' .. name) > 0
end

-- tell: let a replica beat, and its agent look, at once.
local function tell(name, host)
  redis.call('PUBLISH', rq .. 'pubsub:' .. name, '{"command":"beat"}')
  redis.call('PUBLISH', orders .. (host or ''), env)
end
