-- retire: take a replica off the books, whatever state its records are in.
-- include fate
-- include elsewhere
-- include kin_fates
local MOURNED = 100

-- retire: `fates(execution)` is lost, failed, canceled, stopped or back; `death` what to record, or
-- nil where the replica ended as it was told to. Returns how many jobs went back or ended.
local function retire(name, host, cause, fates, death)
  local worker_key, replica_key = rq .. 'worker:' .. name, own .. 'replica:' .. name
  local waiting_key, cancels_key = own .. 'waiting:' .. name, own .. 'cancels:' .. name
  local line = death_line(name, host, cause)
  local count = 0
  local held = holdings(worker_key .. ':executions')
  local elsewheres = {}
  local becomes = kin_fates(held, fates, cancels_key)
  for _, each in ipairs(held) do
    if elsewhere(each) then
      elsewheres[#elsewheres + 1] = each.member
    else
      count = count + settle_or_salvage(each, becomes[each.execution], name, line, cancels_key)
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
  for _, member in ipairs(elsewheres) do
    redis.call('SADD', worker_key .. ':executions', member)
  end
  redis.pcall('SREM', own .. 'assigned:' .. host, name)
  -- Its last BLMOVE may still be served: reclaim looks once more at its waiting list.
  redis.call('ZADD', ended_key, now_ms, name)
  return count
end
