-- end_waiting: the end of a job whose time is over and that still waits.
-- KEYS  those of due
-- include decide
-- include fail
-- include take_out
-- include traceback
-- include fell
local urgent_key = KEYS[15]
-- How long an end waits for a replica that calls what the job names: a limit promises an end.
local PATIENCE_MS = 60000

local function leave_line(id, status)
  if status == 'scheduled' then
    redis.call('ZREM', scheduled_key, id)
  elseif take_out(queue_key, id) == 0 then
    take_out(urgent_key, id)
  end
end

-- call_first: put it before all others if it names something to be called; returns until when that
-- is waited for, nil where the end is to be recorded now.
local function call_first(id, job, text)
  if not decide(id, 'failed', text, false) then
    return nil
  end
  local patient_until = now_ms + PATIENCE_MS
  leave_line(id, job[1])
  fell(id, job[7], job[8] or '')
  give_back(id, '')
  redis.call('HSET', rq .. 'job:' .. id, 'reuse_by', string.format(',%.0f', patient_until))
  return patient_until
end

local function end_waiting(id, job, text)
  local job_key = rq .. 'job:' .. id
  redis.call('HSET', job_key, 'status', 'failed', 'ended_at', now_stamp)
  redis.call('HDEL', job_key, 'reuse_by', 'reuse_decided')
  tally.failed = tally.failed + 1
  leave_line(id, job[1])
  release_dependents(id, 'failed')
  tell(id, job[6])
  fell(id, job[7], job[8] or '')
  bury(id, lasting(job[5]), 2, '', '', 0, 'exc_string', traceback(text))
  list_lasts(id, job[7])
end
