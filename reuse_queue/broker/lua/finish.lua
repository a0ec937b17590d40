-- finish: record the ends of executions, each only if its lease is still the caller's.
-- KEYS  those of holder
-- ARGV  those of holder, then for each end: job, execution, verdict (late: failed by its timeout or
--       its deadline), payload (the value in base64, or a traceback in rq's encoding; '' for none),
--       result ttl (s; -1 for ever; of a job that is to run again its delay, of one that asked for
--       it what it asked), seconds it took, 1 if it may be retried (of a job that is to run again:
--       that it goes first)
-- returns a letter for each: f finished, e failed, r retried, c canceled, l lease lost
-- flags allow-oom
-- include outcome
-- include salvage
-- include flush
local members, executions, letters, delicate = {}, {}, {}, false

for at = FIRST, #ARGV, WIDTH do
  members[#members + 1] = ARGV[at] .. ':' .. ARGV[at + 1]
  executions[#executions + 1] = ARGV[at + 1]
  -- A success has few ways to go wrong, and none that loses the job.
  delicate = delicate or ARGV[at + 2] ~= 'finished'
end
if delicate then
  sound('list', queue_key)
  sound('zset', held_key, failed_key, canceled_key, scheduled_key)
  sound('set', cancels_key)
end
local leases = redis.call('ZMSCORE', wip_key, unpack(members))
redis.call('ZREM', wip_key, unpack(members))
redis.pcall('SREM', holds_key, unpack(members))
for i, member in ipairs(members) do
  local at = FIRST + (i - 1) * WIDTH
  if leases[i] then
    -- One job's broken record must not cost the others their results.
    local done, letter = pcall(finish, at)
    if not done then salvage({id = ARGV[at], execution = ARGV[at + 1]}) end
    letters[i] = done and letter or 'l'
  else
    -- The job may run elsewhere by now: only this execution's own records go.
    gone[#gone + 1] = rq .. 'execution:' .. member
    redis.pcall('ZREM', rq .. 'executions:' .. ARGV[at], ARGV[at + 1])
    letters[i] = 'l'
  end
end
redis.pcall('SREM', cancels_key, unpack(executions))
return_front()
flush()
note_work(worked)
note_rest()
return table.concat(letters)
