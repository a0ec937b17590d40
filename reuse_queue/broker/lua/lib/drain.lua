-- drain: let a replica finish and go; an order that no process has answered yet is withdrawn.
-- include roll
local RECALLABLE = {['scale-down'] = true, ['environment idle'] = true}

local function withdraw(name, host)
  redis.call('ZREM', replicas_key, name)
  redis.call('SREM', own .. 'assigned:' .. host, name)
  redis.call('DEL', replica_key(name))
  redis.call('PUBLISH', orders .. host, env)
end

-- drain: whether it changed anything; unless `force`, only a replica that holds nothing.
local function drain(name, reason, force)
  local key = replica_key(name)
  local seen = redis.call('HMGET', key, 'state', 'host', 'drain_reason')
  local state, host = seen[1], seen[2] or ''
  if state == 'ordered' then
    withdraw(name, host)
    return true
  elseif state == 'draining' then
    -- A drain for want of demand may be called off; not so one for another reason.
    if not RECALLABLE[seen[3]] or RECALLABLE[reason] then
      return false
    end
  elseif state ~= 'starting' and state ~= 'ready' or not force and busy(name) then
    return false
  else
    redis.call('HSET', key, 'state', 'draining', 'drain_at', now_ms)
  end
  redis.call('HSET', key, 'drain_reason', reason)
  redis.call('ZREM', held_key, name)
  tell(name, host)
  return true
end
