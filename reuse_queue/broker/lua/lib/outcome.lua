-- outcome: one reported end of an execution whose lease is still held.
-- KEYS and ARGV  those of finish
-- include holder
-- include asked
-- include slot
-- include fell
-- include interrupted
local FIRST, WIDTH = 6, 7
local worked = 0
-- A callback that saves its job (rq's Job.save) writes how it is about to end.
local UNENDED = {started = true, finished = true, failed = true}

local function settle(at, repeats)
  local id, execution, verdict, payload, ttl, text, retry = unpack(ARGV, at, at + WIDTH - 1)
  local took = tonumber(text)
  worked = worked + took
  if verdict == 'finished' then
    succeed(id, execution, replica, payload, tonumber(ttl), took, repeats)
    return 'f'
  end
  if verdict == 'interrupted' then
    return interrupted(id, execution, took)
  elseif verdict == 'asked' then
    return asked(id, execution, replica, payload, ttl, took)
  elseif verdict == 'again' then
    again(id, execution, replica, payload, tonumber(ttl), took, retry == '1')
    return 'r'
  elseif verdict == 'exhausted' then
    exhaust(id, execution, replica, payload, took)
    return 'e'
  end
  -- A failure that would be retried, and a stop, give way to an order to cancel.
  if verdict == 'canceled' or ((retry == '1' or verdict == 'stopped')
    and redis.call('SISMEMBER', cancels_key, execution) == 1) then
    cancel(id, execution, took)
    return 'c'
  elseif verdict == 'stopped' then
    halt(id, execution, replica, payload, took)
    return 'e'
  end
  return fail(id, execution, replica, payload, took, retry == '1') and 'r' or 'e'
end

local function finish(at)
  local id, execution = ARGV[at], ARGV[at + 1]
  local job = read({}, 'HMGET', rq .. 'job:' .. id, 'status', 'repeats_left', 'rate_limit_key',
    'reuse_by', 'reuse_awaited', 'reuse_children')
  -- Before another try makes another run of it.
  local run = ARGV[at + 2] == 'late' and read('', 'HGET', rq .. 'job:' .. id, 'enqueued_at')
  local letter = job[1] == 'canceled' and 'c' or 'l'
  if UNENDED[job[1]] then
    letter = settle(at, whole(job[2]))
  else
    -- Canceled, or taken over by somebody else, while it ran: that is its one final state.
    forget(id, execution)
  end
  if letter ~= 'r' and letter ~= 'l' then
    tell(id, job[5])
  end
  if job[6] then fell_kin(id, letter, ARGV[at + 2], job[6], run) end
  pcall(release_slot, id, job[3])
  if job[4] and letter ~= 'r' then
    redis.pcall('ZREM', own .. 'limits', id)
  end
  return letter
end
