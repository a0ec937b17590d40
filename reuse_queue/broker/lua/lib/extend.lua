-- extend: prolong a replica's lease, and all that hangs on it; false where it is off the books.
-- KEYS  1 replicas, 2 wip    ARGV  1 rq's prefix, 2 lease (ms), 3 seconds that records last
-- include now
local function extend(name)
  local rq, lasts = ARGV[1], tonumber(ARGV[3])
  if not redis.call('ZSCORE', KEYS[1], name) then
    return false
  end
  redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), name)
  local worker_key = rq .. 'worker:' .. name
  if redis.call('EXPIRE', worker_key, lasts) == 1 then
    redis.pcall('HSET', worker_key, 'last_heartbeat', now_stamp)
  end
  redis.call('EXPIRE', worker_key .. ':executions', lasts)
  local until_s = math.floor(seconds) + lasts
  for _, member in ipairs(redis.pcall('SMEMBERS', worker_key .. ':executions')) do
    local id, execution = string.match(member, '^(.*):([^:]*)$')
    id, execution = id or member, execution or ''
    redis.pcall('ZADD', KEYS[2], 'XX', until_s, member)
    redis.pcall('ZADD', rq .. 'executions:' .. id, 'XX', until_s, execution)
    redis.call('EXPIRE', rq .. 'executions:' .. id, lasts)
    redis.call('EXPIRE', rq .. 'execution:' .. member, lasts)
  end
  return true
end
