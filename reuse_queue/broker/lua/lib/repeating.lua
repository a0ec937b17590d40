-- repeating: rq's Repeat: a job that has succeeded and is to run some more times.
-- include later
local function start_over(id, left)
  local job_key = rq .. 'job:' .. id
  local readable, delays = pcall(cjson.decode,
    redis.call('HGET', job_key, 'repeat_intervals') or '')
  local delay = 0
  if readable and type(delays) == 'table' and #delays > 0 then
    delay = span(delays[1], 0)
    if #delays > 1 then
      table.remove(delays, 1)
      redis.call('HSET', job_key, 'repeat_intervals', cjson.encode(delays))
    end
  end
  redis.call('HSET', job_key, 'repeats_left', left - 1)
  if delay > 0 then
    schedule(id, delay)
  else
    requeue(id)
  end
end
