-- finish: record the ends of executions, each only if its lease is still the caller's.
-- KEYS  those of holder
-- ARGV  those of holder, then for each end: job, execution, verdict, payload (the value in base64,
--       or a traceback in rq's encoding; '' for none), result ttl (s; -1 for ever), seconds it
--       took, 1 if it may be retried
-- returns a letter for each: f finished, e failed, r retried, c canceled, l lease lost
-- include holder
-- include settle
-- include fail
-- include slot
local FIRST, WIDTH = 6, 7
local members, executions, letters, worked = {}, {}, {}, 0

local function settle(at, repeats)
  local id, execution, verdict, payload, ttl, text, retry = unpack(ARGV, at, at + WIDTH - 1)
  local took = tonumber(text)
  worked = worked + took
  if verdict == 'finished' then
    succeed(id, execution, replica, payload, tonumber(ttl), took, repeats)
    return 'f'
  end
  -- A failure that would be retried gives way to an order to cancel.
  if verdict == 'canceled'
    or (retry == '1' and redis.call('SISMEMBER', cancels_key, execution) == 1) then
    cancel(id, execution, took)
    return 'c'
  end
  return fail(id, execution, replica, payload, took, retry == '1') and 'r' or 'e'
end

local function finish(at)
  local id, execution = ARGV[at], ARGV[at + 1]
  local job = redis.call('HMGET', rq .. 'job:' .. id, 'status', 'repeats_left', 'rate_limit_key')
  local letter = job[1] == 'canceled' and 'c' or 'l'
  if job[1] == 'started' then
    letter = settle(at, tonumber(job[2]) or 0)
  else
    -- Canceled, or taken over by somebody else, while it ran: that is its one final state.
    forget(id, execution)
  end
  release_slot(id, job[3])
  return letter
end

for at = FIRST, #ARGV, WIDTH do
  members[#members + 1] = ARGV[at] .. ':' .. ARGV[at + 1]
  executions[#executions + 1] = ARGV[at + 1]
end
local leases = redis.call('ZMSCORE', wip_key, unpack(members))
redis.call('ZREM', wip_key, unpack(members))
redis.call('SREM', holds_key, unpack(members))
for i, member in ipairs(members) do
  local at = FIRST + (i - 1) * WIDTH
  if leases[i] then
    letters[i] = finish(at)
  else
    -- The job may run elsewhere by now: only this execution's own records go.
    gone[#gone + 1] = rq .. 'execution:' .. member
    redis.call('ZREM', rq .. 'executions:' .. ARGV[at], ARGV[at + 1])
    letters[i] = 'l'
  end
end
redis.call('SREM', cancels_key, unpack(executions))
flush()
note_work(worked)
note_rest()
return table.concat(letters)
