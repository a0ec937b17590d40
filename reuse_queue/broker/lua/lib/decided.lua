-- decided: the end of a job that waits for what the job names to be called at it (see decide).
-- include decoded
-- is_decided: the end that waits, nil for none; and how often it was lost, as it stands there. It is
-- that of one run: a requeue makes another. What is no end of ours is none: not all that JSON can say
-- can be written as JSON again.
local function is_decided(decided, run)
  local found = decoded(decided)
  if found.run ~= (run or '') or type(found.verdict) ~= 'string' or type(found.text) ~= 'string' then
    return nil
  end
  return {run = found.run, verdict = found.verdict, text = found.text,
    retry = found.retry == true or nil}, found.lost
end
