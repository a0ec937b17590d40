-- orders: what the scaler may do to a replica: each looks again whether it still fits.
-- KEYS  those of roll, then 4 hosts
-- ARGV  those of roll, then 6 lease (ms), 7 what the hash of a host starts with
-- include drain
-- Of the record of a replica: facts.FORMAT. An agent that is older gets an order of its own format.
local FORMAT = 1
local function start(name, host, version)
  local lease = tonumber(redis.call('ZSCORE', KEYS[4], host) or 0)
  if lease <= now_ms or redis.call('HGET', env_key, 'drained') == '1'
    or redis.call('EXISTS', replica_key(name)) == 1 then
    return false
  end
  local known = tonumber(redis.pcall('HGET', ARGV[7] .. host, 'format')) or 1
  redis.call('HSET', replica_key(name), 'environment', env, 'host', host, 'version', version,
    'state', 'ordered', 'ordered_at', now_ms, 'format', math.min(FORMAT, known))
  redis.call('ZADD', replicas_key, now_ms + tonumber(ARGV[6]), name)
  redis.call('SADD', own .. 'assigned:' .. host, name)
  redis.call('PUBLISH', orders .. host, env)
  return true
end

local function undrain(name)
  local key = replica_key(name)
  local seen = redis.call('HMGET', key, 'state', 'drain_reason', 'ready_at', 'host')
  if seen[1] ~= 'draining' or not RECALLABLE[seen[2]] or not seen[3] then
    return false
  end
  local held = holds(name)
  redis.call('HSET', key, 'state', 'ready')
  redis.call('HDEL', key, 'drain_reason', 'drain_at')
  if held == 0 then
    redis.call('HSET', key, 'idle_since', now_ms)
  end
  redis.call('ZADD', held_key, held, name)
  tell(name, seen[4])
  return true
end
