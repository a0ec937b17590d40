-- sweep: see to it that what is over is forgotten in the end: canceled jobs, deferred ones that
-- nothing can release any more, the members of rq's groups, and rq's rate limits.
-- KEYS  those of books, then 14 deferred, 15 groups, 16 rate limits
-- ARGV  those of books, then 5 how many of each to look at
-- returns how many entries went
-- include sampled
-- include unused
-- include fell
local deferred_key, groups_key, rates_key, most = KEYS[14], KEYS[15], KEYS[16], tonumber(ARGV[5])

-- A cancel, rq's too, leaves its moment as the score, and no end: both are set here.
local function see_canceled(id)
  local job = read({}, 'HMGET', rq .. 'job:' .. id, 'status', 'failure_ttl', 'reuse_children')
  local ttl = job[1] == 'canceled' and redis.call('TTL', rq .. 'job:' .. id) or 0
  if ttl == -1 then
    fell(id, job[3])
    ttl = lasting(job[2])
  end
  if ttl > 0 then
    keep_for(id, ttl)
    redis.call('ZADD', canceled_key, math.floor(seconds) + ttl, id)
  elseif ttl < 0 then
    redis.call('ZADD', canceled_key, '+inf', id)
  else
    redis.call('ZREM', canceled_key, id)
    went = went + 1
    if job[1] == 'canceled' then
      delete(id)
    end
  end
  list_lasts(id, job[3])
end

local function see_deferred(id)
  local job = read({}, 'HMGET', rq .. 'job:' .. id, 'status', 'failure_ttl')
  if job[1] ~= 'deferred' then
    return redis.call('ZREM', deferred_key, id) == 1
  end
  local waits, ttl = false, lasting(job[2])
  for _, parent in ipairs(read({}, 'SMEMBERS', rq .. 'job::' .. id .. ':dependencies')) do
    -- One that had ended before this job came to wait for it: the set is younger than its end.
    local left = redis.call('TTL', rq .. 'job:' .. parent)
    if left ~= -1 then
      redis.call('EXPIRE', rq .. 'job:' .. parent .. ':dependents', left)
    end
    waits = waits or left ~= -2
  end
  if not waits and ttl > 0 and redis.call('TTL', rq .. 'job:' .. id) == -1 then
    keep_for(id, ttl)
  end
  return false
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', canceled_key, '-inf', seconds, 'LIMIT', 0, most)) do
  see_canceled(id)
end
sampled('ZRANDMEMBER', deferred_key, {left = most}, see_deferred)
sweep_groups(groups_key, {left = most})
sweep_rates(rates_key, {left = most})
return went
