-- enlist: a guest, which nobody ordered and no scaler counts, may claim in an environment.
-- KEYS  1 replicas, 2 held, 3 replica
-- ARGV  1 replica, 2 lease (ms), 3 environment, 4 host, 5 pid
-- returns 1
-- flags allow-oom
-- include now
redis.call('HSET', KEYS[3], 'environment', ARGV[3], 'host', ARGV[4], 'version', '', 'pid', ARGV[5],
  'state', 'ready', 'guest', '1', 'ordered_at', now_ms, 'ready_at', now_ms, 'idle_since', now_ms)
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1])
redis.call('ZADD', KEYS[2], 'NX', 0, ARGV[1])
return 1
