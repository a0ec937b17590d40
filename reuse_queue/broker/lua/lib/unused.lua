-- unused: what rq's workers forget in their maintenance, where none of them runs.
-- include sampled
local HOLDS_SLOT = {queued = true, started = true}

-- sweep_groups: ids of expired jobs leave their groups; a group without any is none.
local function sweep_groups(groups_key, budget)
  sampled('SRANDMEMBER', groups_key, budget, function(name)
    local group_key = rq .. 'group:' .. name
    sampled('SRANDMEMBER', group_key, budget, function(id)
      return redis.call('EXISTS', rq .. 'job:' .. id) == 0
        and redis.call('SREM', group_key, id) == 1
    end)
    return redis.call('EXISTS', group_key) == 0 and redis.call('SREM', groups_key, name) == 1
  end)
end

-- sweep_rates: slots of jobs that are gone go to the next; a limit that nobody waits for is none.
local function sweep_rates(rates_key, budget)
  sampled('SRANDMEMBER', rates_key, budget, function(limit)
    local key = rq .. 'rl:' .. limit
    local holders = redis.call('ZRANGE', key .. ':allowed', 0, math.max(budget.left, SAMPLE))
    budget.left = budget.left - #holders
    for _, id in ipairs(holders) do
      local status = read(false, 'HGET', rq .. 'job:' .. id, 'status')
      if not HOLDS_SLOT[status or ''] and redis.call('EXISTS', rq .. 'executions:' .. id) == 0 then
        redis.call('ZREM', key .. ':allowed', id)
      end
    end
    -- Nobody has just ended: slots that came free go to those that wait.
    release_slot('', limit)
    if redis.call('EXISTS', key .. ':allowed', key .. ':rate_limited') > 0 then
      return false
    end
    redis.call('DEL', key)
    return redis.call('SREM', rates_key, limit) == 1
  end)
end
