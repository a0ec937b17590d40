-- orders: what the scaler may do to a replica: each looks again whether it still fits.
-- KEYS  those of roll, then 4 hosts
-- ARGV  those of roll, then 6 lease (ms)
-- include drain
-- Of the record of a replica: facts.FORMAT.
local FORMAT = 1
local function start(name, host, version)
  local lease = tonumber(redis.call('ZSCORE', KEYS[4], host) or 0)
  if lease <= now_ms or redis.call('HGET', env_key, 'drained') == '1'
    or redis.call('EXISTS', replica_key(name)) == 1 then
    return false
  end
  redis.call('HSET', replica_key(name), 'environment', env, 'host', host, 'version', version,
    'state', 'ordered', 'ordered_at', now_ms, 'format', FORMAT)
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
