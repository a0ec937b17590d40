-- demand: the jobs that want a slot now.
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys
-- include now
local function backlog(queue_key, urgent_key, scheduled_key)
  return redis.call('LLEN', queue_key) + redis.call('LLEN', urgent_key)
    + redis.call('ZCOUNT', scheduled_key, '-inf', seconds)
end

-- on_hand: the jobs that a replica holds, and those that it is about to claim.
local function on_hand(name)
  return tonumber(redis.pcall('SCARD', ARGV[1] .. 'worker:' .. name .. ':executions')) or 0,
    tonumber(redis.pcall('LLEN', ARGV[2] .. 'waiting:' .. name)) or 0
end
