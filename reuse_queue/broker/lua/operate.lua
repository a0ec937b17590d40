-- operate: write what an operator sets for an environment, and wake the scaler.
-- KEYS  1 environments, 2 environment
-- ARGV  1 environment, 2 wake channel, 3 field, 4 value, or '' for none, 5 1 to wake a dormant one
-- returns 1
-- flags allow-oom
-- include now
redis.call('SADD', KEYS[1], ARGV[1])
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[2], ARGV[3])
else
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
end
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[2], 'state', 'active', 'active_since', now_ms)
end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1
