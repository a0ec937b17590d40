-- time_left: how long (ms) until a job's deadline, false without one; nil where it is too late.
-- Such a job is not started: `due` will fail it.
-- KEYS  those of claim
-- include limits
local limits_key = KEYS[10]

local function time_left(id, by)
  local start_by, end_by = limits_of(by)
  if math.min(start_by or now_ms + 1, end_by or now_ms + 1) <= now_ms then
    redis.call('ZADD', limits_key, 0, id)
    return nil
  end
  -- Not longer than a reply's integer, and Python, can say.
  return end_by ~= nil and math.min(end_by - now_ms, 1e15)
end
