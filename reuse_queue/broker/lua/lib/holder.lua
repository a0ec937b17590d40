-- holder: the replica whose jobs a step is about.
-- KEYS  those of books, then 14 replica, 15 worker, 16 the worker's executions, 17 cancels,
--       18 waiting list
-- ARGV  those of books, then 5 replica
-- include records
local replica_key, worker_key, holds_key, cancels_key, waiting_key = unpack(KEYS, 14, 18)
local replica = ARGV[5]

-- note_work: count what it has done, in `worked` seconds.
local function note_work(worked)
  local failures = tally.failed + tally.retried + tally.stopped
  local ended = tally.finished + failures + tally.canceled
  if ended > 0 then
    redis.pcall('HINCRBY', replica_key, 'jobs_done', ended)
    redis.pcall('HINCRBYFLOAT', worker_key, 'total_working_time', string.format('%.6f', worked))
  end
  if tally.finished > 0 then
    redis.pcall('HINCRBY', worker_key, 'successful_job_count', tally.finished)
  end
  if failures > 0 then
    redis.pcall('HINCRBY', worker_key, 'failed_job_count', failures)
  end
end

-- note_rest: what it still holds; idle where that is nothing, since when it came to be nothing.
local function note_rest()
  if redis.call('EXISTS', replica_key) == 0 then
    return
  end
  local holds = read(0, 'SCARD', holds_key)
  redis.pcall('ZADD', held_key, 'XX', holds, replica)
  if holds == 0 then
    redis.pcall('HSET', worker_key, 'state', 'idle')
    -- One that was idle before goes on being so: replicas tidy up while they rest.
    if (read('wrong', 'HGET', replica_key, 'idle_since') or '') == '' then
      redis.call('HSET', replica_key, 'idle_since', now_ms)
    end
  end
end
