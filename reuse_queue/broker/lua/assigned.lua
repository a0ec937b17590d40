-- assigned: an environment's replicas that belong on a host.
-- KEYS  1 replicas, 2 assigned to the host
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys
-- returns a row for each
-- include row
local rows = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  rows[#rows + 1] = row(name, redis.call('ZSCORE', KEYS[1], name) or 0)
end
return rows
