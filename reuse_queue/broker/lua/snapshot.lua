-- snapshot: all that one scaling decision rests on.
-- KEYS  1 environment, 2 queue, 3 urgent, 4 scheduled, 5 replicas, 6 deaths, 7 versions,
--       8 all queues, 9 suspended
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys, 3 1 to be woken by the next news,
--       4 deaths at most
-- returns {now (ms), its hash, backlog, claimed, scheduled for later, rows, deaths, versions, how
--         many of those claimed only wait for others}; {} where there is no such environment
-- include demand
-- include row
local env_key, queue_key, urgent_key, scheduled_key, replicas_key, deaths_key, versions_key,
  queues_key, suspended_key = unpack(KEYS)
local known = redis.call('HGETALL', env_key)
if #known == 0 and redis.call('EXISTS', queue_key, replicas_key) == 0
  and redis.call('SISMEMBER', queues_key, queue_key) == 0 then
  return {}
end
if ARGV[3] == '1' and #known > 0 and redis.call('HGET', env_key, 'poke') ~= '1' then
  -- Where no writes are taken, there is still something to see.
  redis.pcall('HSET', env_key, 'poke', '1')
end
if redis.call('EXISTS', suspended_key) == 1 then
  known[#known + 1], known[#known + 2] = 'suspended', '1'
end

local waiting, claimed, rows, deaths = backlog(queue_key, urgent_key, scheduled_key), 0, {}, {}
local away = 0
local leases = redis.call('ZRANGE', replicas_key, 0, -1, 'WITHSCORES')
for at = 1, #leases, 2 do
  local name = leases[at]
  -- A guest serves itself: neither it nor what it holds is the scaler's to count.
  if redis.pcall('HEXISTS', ARGV[2] .. 'replica:' .. name, 'guest') == 0 then
    local held, next_up = on_hand(name)
    claimed, waiting = claimed + held, waiting + next_up
    rows[#rows + 1] = row(name, leases[at + 1])
    -- What it said last may be more than it still holds.
    local said = tonumber(redis.pcall('HGET', ARGV[2] .. 'replica:' .. name, 'away'))
    away = away + math.min(held, said or 0)
  end
end
for _, entry in ipairs(redis.pcall('XREVRANGE', deaths_key, '+', '-', 'COUNT', ARGV[4])) do
  deaths[#deaths + 1] = entry[2]
end
return {now_ms, known, waiting, claimed, redis.call('ZCOUNT', scheduled_key, '(' .. seconds, '+inf'),
  rows, deaths, redis.call('ZRANGE', versions_key, 0, -1), away}
