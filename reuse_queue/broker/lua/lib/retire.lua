-- retire: take a replica off the books, whatever state its records are in.
-- include fate
-- include elsewhere
local MOURNED = 100

-- abandoned: executions that have canceled a child which would not end but with this replica. Given
-- back uncharged, they would do so again for ever.
local function abandoned(held, fates, cancels_key)
  local found = {}
  for _, each in ipairs(held) do
    if fates(each.execution) == 'canceled'
      or read(0, 'SISMEMBER', cancels_key, each.execution) == 1 then
      local child = read({}, 'HMGET', rq .. 'job:' .. each.id, 'reuse_parent', 'reuse_given_up')
      local execution = child[2] and string.match(child[1] or '', '([^:]*)$')
      if execution then found[execution] = true end
    end
  end
  return found
end

-- retire: `fates(execution)` is lost, failed, canceled, stopped or back; `death` what to record, or
-- nil where the replica ended as it was told to. Returns how many jobs went back or ended.
local function retire(name, host, cause, fates, death)
  local worker_key, replica_key = rq .. 'worker:' .. name, own .. 'replica:' .. name
  local waiting_key, cancels_key = own .. 'waiting:' .. name, own .. 'cancels:' .. name
  local line = death_line(name, host, cause)
  local count = 0
  local held = holdings(worker_key .. ':executions')
  local elsewheres = {}
  local at_fault = abandoned(held, fates, cancels_key)
  for _, each in ipairs(held) do
    local fate = fates(each.execution)
    if fate == 'back' and at_fault[each.execution] then fate = 'lost' end
    if elsewhere(each) then
      elsewheres[#elsewheres + 1] = each.member
    else
      count = count + settle_or_salvage(each, fate, name, line, cancels_key)
    end
  end
  local given_back = pushed
  return_waiting(waiting_key)
  return_front()
  count = count + pushed - given_back
  if redis.call('ZREM', replicas_key, name) == 1 and death then
    redis.pcall('XADD', deaths_key, 'MAXLEN', '~', MOURNED, '*', 'replica', name, 'host', host,
      'at', now_ms, 'cause', cause, 'held', #held, unpack(death))
  end
  redis.call('ZREM', held_key, name)
  redis.call('SREM', workers_key, worker_key)
  redis.call('SREM', workers_of_key, worker_key)
  redis.call('DEL', worker_key, worker_key .. ':executions', replica_key, waiting_key, cancels_key)
  if #elsewheres > 0 then
    redis.call('SADD', worker_key .. ':executions', unpack(elsewheres))
  end
  redis.pcall('SREM', own .. 'assigned:' .. host, name)
  -- Its last BLMOVE may still be served: reclaim looks once more at its waiting list.
  redis.call('ZADD', ended_key, now_ms, name)
  return count
end
