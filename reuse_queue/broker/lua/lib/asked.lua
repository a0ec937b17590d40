-- asked: a job returned rq's Retry, which says how often, and after what waits, it may run again.
-- include again

-- `text` is JSON: {max, intervals, first}. Returns the letter for what has become of the job.
local function asked(id, execution, holder, payload, text, took)
  local wish = cjson.decode(text)
  local job = redis.call('HMGET', rq .. 'job:' .. id, 'number_of_retries',
    'enqueue_at_front_on_retry')
  local done = tonumber(job[1]) or 0
  if done >= wish.max then
    exhaust(id, execution, holder, payload, took)
    return 'e'
  end
  local delay = wish.intervals[math.min(done + 1, #wish.intervals)] or 0
  again(id, execution, holder, payload, delay, took, wish.first or job[2] == '1')
  return 'r'
end
