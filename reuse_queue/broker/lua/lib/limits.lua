-- limits: until when a job has to have started and to have ended, by Redis' clock.
-- Its field `reuse_by` is '<ms>,<ms>': each empty where there is no such limit, or where the first
-- counts no more. A job that has the field is in the zset of limits too.
-- include now
-- include numbers

-- limits_of: both, nil for none; `by` is the field's value.
local function limits_of(by)
  local start_by, end_by = string.match(by or '', '^(%d*),(%d*)$')
  return tonumber(start_by), tonumber(end_by)
end

-- set_limits: let them begin for a job that is due in `delay` seconds; '' or nil for none.
local function set_limits(limits_key, job_key, id, delay, queue_timeout, deadline)
  local waits, lasts = span(queue_timeout), span(deadline)
  if not waits and not lasts then
    return
  end
  local start_by = waits and math.floor(now_ms + (delay + waits) * 1000)
  local end_by = lasts and math.floor(now_ms + lasts * 1000)
  redis.call('HSET', job_key, 'reuse_by', (start_by and string.format('%.0f', start_by) or '')
    .. ',' .. (end_by and string.format('%.0f', end_by) or ''))
  redis.call('ZADD', limits_key, math.min(start_by or end_by, end_by or start_by), id)
end

-- waited: a job that has been taken once need not start by any time any more.
local function waited(job_key, by)
  if by then
    redis.call('HSET', job_key, 'reuse_by', (string.gsub(by, '^%d*', '')))
  end
end
