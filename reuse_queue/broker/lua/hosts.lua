-- hosts: the hosts whose lease has not run out.
-- KEYS  1 hosts    ARGV  1 what the hash of a host starts with
-- returns for each: {name, end of its lease (ms), its hash}
-- include now
local found = {}
local live = redis.call('ZRANGE', KEYS[1], '(' .. now_ms, '+inf', 'BYSCORE', 'WITHSCORES')
for at = 1, #live, 2 do
  local known = redis.pcall('HGETALL', ARGV[1] .. live[at])
  if not known.err then
    found[#found + 1] = {live[at], tonumber(live[at + 1]), known}
  end
end
return found
