-- renew: extend the leases of replicas and of all that they hold.
-- KEYS  1 replicas, 2 wip
-- ARGV  1 rq's prefix, 2 lease (ms), 3 seconds that the records of an execution last, 4 … replicas
-- returns 1 or 0 for each: 0 it is off the books
-- flags allow-oom
-- include extend
local kept = {}
for at = 4, #ARGV do
  kept[at - 3] = extend(ARGV[at]) and 1 or 0
end
return kept
