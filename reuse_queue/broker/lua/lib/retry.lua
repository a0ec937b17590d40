-- retry: another try for a job whose execution failed.
-- include settle
-- include limits
-- pause: the delay that rq takes: the last of its intervals belongs to the last retry.
local function pause(intervals, left)
  local readable, delays = pcall(cjson.decode, intervals or '')
  if readable and type(delays) == 'table' then
    return span(delays[math.max(#delays - left, 0) + 1], 0)
  end
  return 0
end

local function retry(id, job, left, delay)
  local job_key = rq .. 'job:' .. id
  redis.call('HSET', job_key, 'retries_left', left - 1)
  waited(job_key, job[6])
  if delay > 0 then
    return schedule(id, delay)
  end
  requeue(id, job[4] == '1')
  lapse_in(job_key, job[5])
end

-- in_time: whether a retry would begin before the job's deadline.
local function in_time(by, delay)
  local _, end_by = limits_of(by)
  return not end_by or now_ms + delay * 1000 < end_by
end
