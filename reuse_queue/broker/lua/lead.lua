-- lead: take or keep the lead of the scalers.
-- KEYS  1 leader, 2 fence    ARGV  1 token, 2 how long (ms)
-- returns a number that rises with every change of leader; 0 another one leads
-- flags allow-oom
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and tonumber(redis.call('GET', KEYS[2])) or redis.call('INCR', KEYS[2])
