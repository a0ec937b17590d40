-- interrupted: an end of what may run only once and was stopped with its replica.
-- include holder
-- include decide
-- include fail
-- include traceback
local function interrupted(id, execution, took)
  local text = string.format('reuse_queue.errors.JobLost: job %s was stopped with its replica, and '
    .. 'may run only once', id)
  if decide(id, 'failed', text, false) then
    give_back(id, execution)
    return 'r'
  end
  fail(id, execution, replica, traceback(text), took, false)
  return 'e'
end
