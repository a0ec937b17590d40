-- fate: what becomes of one job when the replica that held it is gone.
-- include decide
-- include lose
-- include overrun
-- include again
-- include slot
-- include salvage
-- include fell
local function death_line(name, host, cause)
  local where = host == '' and '' or ' on host ' .. host
  return string.format('replica %s%s at %s: %s', name, where, now_stamp, cause)
end

local function settle(held, fate, name, line, cancels_key)
  if redis.call('ZREM', wip_key, held.member) == 0 then
    gone[#gone + 1] = rq .. 'execution:' .. held.member
    return 0
  end
  local job = read({}, 'HMGET', rq .. 'job:' .. held.id, 'status', 'rate_limit_key', 'reuse_once',
    'reuse_awaited', 'reuse_children', 'enqueued_at', 'reuse_decided')
  if job[1] ~= 'started' then
    forget(held.id, held.execution)
    return 0
  end
  if fate == 'back' and job[3] == '1' and not is_decided(job[7], job[6]) then
    -- It may have ended and not been recorded yet: what must not run twice does not go back.
    fate = 'lost'
  end
  if fate == 'canceled' or read(0, 'SISMEMBER', cancels_key, held.execution) == 1 then
    if held.killed and decide_held(held, 'canceled', '') then
      fell(held.id, job[5])
    else
      cancel(held.id, held.execution, held.took)
    end
  elseif fate == 'failed' then
    overrun(held, name, line)
  elseif fate == 'stopped' then
    if decide_held(held, 'stopped', line) then
      fell(held.id, job[5])
    else
      halt(held.id, held.execution, name, traceback(line), held.took)
    end
  elseif fate == 'lost' then
    lose(held, name, line)
  else
    give_back(held.id, held.execution)
  end
  if job[5] then
    if fate == 'failed' then
      fell(held.id, job[5], job[6] or '')
    end
    fell_canceled(held.id, job[5])
    list_lasts(held.id, job[5])
  end
  tell_if_over(held.id, job[4])
  pcall(release_slot, held.id, job[2])
  return 1
end

-- settle_or_salvage: one job's broken record must not keep the others from going back.
local function settle_or_salvage(held, ...)
  local done, settled = pcall(settle, held, ...)
  if not done then
    salvage(held)
  end
  return done and settled or 1
end
