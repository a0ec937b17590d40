-- announce: write what is known of an environment; an application does not overwrite an agent.
-- KEYS  1 environments, 2 environment
-- ARGV  1 environment, 2 wake channel, 3 'agent' or 'application', then its fields and values,
--       of which 'format' is the first
-- returns the format of the record that stands; nothing was written if that is not ARGV's
-- flags allow-oom
-- include now
local theirs = tonumber(redis.call('HGET', KEYS[2], 'format')) or 1
if theirs > tonumber(ARGV[5]) then
  return theirs
end
redis.call('SADD', KEYS[1], ARGV[1])
local news = redis.call('HSETNX', KEYS[2], 'state', 'active') == 1
if news then
  redis.call('HSET', KEYS[2], 'active_since', now_ms)
end
if ARGV[3] == 'agent' or redis.call('HGET', KEYS[2], 'by') ~= 'agent' then
  redis.call('HSET', KEYS[2], 'by', ARGV[3])
  for at = 4, #ARGV, 2 do
    if redis.call('HGET', KEYS[2], ARGV[at]) ~= ARGV[at + 1] then
      redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
      news = true
    end
  end
end
if news then
  redis.call('PUBLISH', ARGV[2], ARGV[1])
end
return tonumber(ARGV[5])
