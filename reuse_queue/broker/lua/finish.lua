-- finish: record the ends of executions, each only if its lease is still the caller's.
-- KEYS  those of holder
-- ARGV  those of holder, then for each end: job, execution, verdict, payload (the value in base64,
--       or a traceback in rq's encoding; '' for none), result ttl (s; -1 for ever; of a job that
--       is to run again its delay, of one that asked for it what it asked), seconds it took, 1 if it may be retried (of a job that is to
--       run again: that it goes first)
-- returns a letter for each: f finished, e failed, r retried, c canceled, l lease lost
-- flags allow-oom
-- include outcome
-- include flush
local members, executions, letters = {}, {}, {}

for at = FIRST, #ARGV, WIDTH do
  members[#members + 1] = ARGV[at] .. ':' .. ARGV[at + 1]
  executions[#executions + 1] = ARGV[at + 1]
end
local leases = redis.call('ZMSCORE', wip_key, unpack(members))
redis.call('ZREM', wip_key, unpack(members))
redis.call('SREM', holds_key, unpack(members))
for i, member in ipairs(members) do
  local at = FIRST + (i - 1) * WIDTH
  if leases[i] then
    -- One job's broken record must not cost the others their results.
    local done, letter = pcall(finish, at)
    letters[i] = done and letter or 'l'
  else
    -- The job may run elsewhere by now: only this execution's own records go.
    gone[#gone + 1] = rq .. 'execution:' .. member
    redis.call('ZREM', rq .. 'executions:' .. ARGV[at], ARGV[at + 1])
    letters[i] = 'l'
  end
end
redis.call('SREM', cancels_key, unpack(executions))
flush()
note_work(worked)
note_rest()
return table.concat(letters)
