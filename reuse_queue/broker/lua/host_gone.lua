-- host_gone: take a host off the books, if it is still that agent's.
-- KEYS  1 hosts, 2 the host
-- ARGV  1 host, 2 agent, 3 wake channel
-- returns 1 done, 0 it is another agent's, or not there
-- flags allow-oom
-- include decoded
if redis.call('HGET', KEYS[2], 'agent') ~= ARGV[2] then
  return 0
end
local offers = redis.call('HGET', KEYS[2], 'offers')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
for env in pairs(decoded(offers)) do
  redis.call('PUBLISH', ARGV[3], env)
end
return 1
