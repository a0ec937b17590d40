-- anew: whether a job that is there is to be written once more: for another execution of its parent,
-- a child that the parent itself has canceled is no result, and the result of one that has finished
-- is kept as long again. The same execution has only not heard of its first try.
-- include now
-- include adopt
local function anew(id, job_key)
  local seen = parent ~= '' and redis.pcall('HMGET', job_key, 'status', 'reuse_parent', 'result_ttl',
    'reuse_given_up')
  if not seen or seen[2] == parent .. ':' .. execution then return false end
  local rq, ttl = string.sub(jobs_prefix, 1, -5), tonumber(seen[3]) or 0
  if seen[1] == 'canceled' and seen[4] then
    redis.call('DEL', job_key, rq .. 'results:' .. id)
    redis.call('ZREM', rq .. 'canceled:' .. env, id)
    return true
  elseif seen[1] == 'finished' and ttl > 0 then
    redis.call('EXPIRE', job_key, ttl, 'GT')
    redis.call('EXPIRE', rq .. 'results:' .. id, ttl, 'GT')
    redis.pcall('ZADD', rq .. 'finished:' .. env, 'XX', 'GT', math.floor(seconds) + ttl, id)
  end
  return false
end
