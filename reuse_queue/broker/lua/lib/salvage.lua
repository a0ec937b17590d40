-- salvage: what becomes of a job that could not be ended, for some key of its own or of rq's that
-- holds something else than it should: it starts over; one that may run only once has failed.
-- include holdings
local function salvage(each)
  local job_key = rq .. 'job:' .. each.id
  local job = read({}, 'HMGET', job_key, 'status', 'reuse_once', 'reuse_awaited')
  if job[1] and job[2] == '1' then
    redis.call('HSET', job_key, 'status', 'failed', 'ended_at', now_stamp)
    redis.call('ZADD', failed_key, '+inf', each.id)
    tell(each.id, job[3])
  elseif job[1] then
    give_back(each.id, each.execution)
  end
end
