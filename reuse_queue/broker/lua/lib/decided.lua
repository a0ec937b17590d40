-- decided: the end of a job that waits for what the job names to be called at it (see decide).
-- include decoded
-- is_decided: the end that waits, nil for none. It is that of one run: a requeue makes another.
local function is_decided(decided, run)
  local found = decoded(decided)
  return found.run == (run or '') and found or nil
end
