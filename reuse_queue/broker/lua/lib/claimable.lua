-- claimable: what there is to claim, where all that a claim writes to is what it should be.
-- KEYS  those of claim
-- include start
-- include sound
-- What leaves a list must get a lease: better nothing is taken than that it can't be noted.
sound('zset', wip_key, held_key, limits_key)
sound('set', holds_key)
local next_up, urgent = redis.call('LLEN', waiting_key), redis.call('LLEN', urgent_key)
redis.call('LLEN', queue_key)
