-- resign: give up the lead of the scalers, if it is held.
-- KEYS  1 leader    ARGV  1 token
-- returns 1 given up, 0 another one leads
-- flags allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
