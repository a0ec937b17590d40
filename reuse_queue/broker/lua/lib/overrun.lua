-- overrun: what becomes of a job that would not end in time.
-- include fail
-- include decide
-- include late
-- include traceback

-- overrun: the replica was killed because this job ran past its timeout.
local function overrun(held, holder, line)
  local job = redis.call('HMGET', rq .. 'job:' .. held.id, 'timeout', 'reuse_by', 'reuse_deadline',
    'success_callback_timeout', 'failure_callback_timeout')
  local _, end_by = limits_of(job[2])
  local why = string.format('JobTimeout: job %s ran longer than its timeout of %s s', held.id,
    job[1] or '?')
  if job[4] or job[5] then
    why = why .. ', or a callback of it longer than its own'
  end
  if end_by and end_by <= now_ms then
    why = late(held.id, job[3])
  end
  local text = string.format('%s\nreuse_queue.errors.%s, and its replica was killed', line, why)
  if not decide_held(held, 'failed', text, true) then
    fail(held.id, held.execution, holder, traceback(text), held.took, true)
  end
end
