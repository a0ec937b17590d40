-- late: why a job fails for its deadline; `deadline` is what it was given (s).
local function late(id, deadline)
  return string.format('DeadlinePassed: job %s had not ended by its deadline, %s s after it was '
    .. 'enqueued', id, deadline or '?')
end
