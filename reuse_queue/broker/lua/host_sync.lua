-- host_sync: write and renew a host's record, and what versions there are.
-- KEYS  1 hosts, 2 the host, 3 … the versions of each environment that it offers
-- ARGV  1 host, 2 agent, 3 1 to take the name from a live agent, 4 lease (ms), 5 wake channel,
--       6 what the hash of a host starts with, 7 offers (JSON), 8 broken (JSON), 9 max_replicas,
--       10 draining, 11 format, then the environment and the version for each of KEYS from 3 on
-- returns 1 written, 0 another live agent has that name
-- flags allow-oom
-- include now
-- include decoded
local name, agent, lease = ARGV[1], ARGV[2], tonumber(ARGV[4])
local seen = redis.pcall('HMGET', KEYS[2], 'agent', 'offers', 'broken', 'max_replicas', 'draining')
-- Nobody else has business there, and all of it is written anew below.
if seen.err then redis.call('DEL', KEYS[2]) end
local live = (tonumber(redis.call('ZSCORE', KEYS[1], name) or 0)) > now_ms
if live and seen[1] ~= agent and ARGV[3] ~= '1' then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
redis.call('ZADD', KEYS[1], now_ms + lease, name)
redis.call('HSET', KEYS[2], 'agent', agent, 'offers', ARGV[7], 'broken', ARGV[8], 'max_replicas',
  ARGV[9], 'draining', ARGV[10], 'format', ARGV[11])
redis.call('PEXPIRE', KEYS[2], lease)
if live and seen[1] == agent and seen[2] == ARGV[7] and seen[3] == ARGV[8] and seen[4] == ARGV[9]
  and seen[5] == ARGV[10] then
  return 1
end

-- What this host was known for before may be news for the scaler just as well.
local concerned, offered = {}, {}
for at = 3, #KEYS do
  local env, version = ARGV[6 + 2 * at], ARGV[7 + 2 * at]
  -- Later than any other, within one millisecond too: the last one is the current one.
  local newest = redis.pcall('ZRANGE', KEYS[at], -1, -1, 'WITHSCORES')[2] or 0
  -- One environment's broken key must not cost the host the others.
  redis.pcall('ZADD', KEYS[at], 'NX', math.max(now_ms, newest + 1), version)
  concerned[env] = true
end
for _, each in ipairs({seen[2] or '{}', ARGV[8]}) do
  for env in pairs(decoded(each)) do
    concerned[env] = true
  end
end
for env in pairs(concerned) do
  redis.call('PUBLISH', ARGV[5], env)
end

-- A version that no live host offers is gone: offered again, it is the newest one.
for _, host in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local offers = redis.pcall('HGET', ARGV[6] .. host, 'offers')
  for env, version in pairs(decoded(offers)) do
    offered[env .. ' ' .. tostring(version)] = true
  end
end
for at = 3, #KEYS do
  for _, version in ipairs(redis.pcall('ZRANGE', KEYS[at], 0, -1)) do
    if not offered[ARGV[6 + 2 * at] .. ' ' .. version] then
      redis.call('ZREM', KEYS[at], version)
    end
  end
end
return 1
