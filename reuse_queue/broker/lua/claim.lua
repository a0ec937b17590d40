-- claim: give a replica jobs, started and leased to it in the same step.
-- KEYS  1 queue, 2 urgent, 3 its waiting list, 4 wip, 5 environment, 6 replica, 7 worker,
--       8 the worker's executions, 9 held, 10 limits, 11 suspended
-- ARGV  1 rq's prefix, 2 replica, 3 seconds that the records of an execution last without renewal,
--       4 environment, 5 wake channel, 6 how many jobs are wanted, 7 a new execution id: that of
--       the first; those of the others are numbered in its last 8 digits, 8 how many of its jobs
--       only wait for others, 9 1 for urgent jobs only
-- returns {why nothing is given or '', backlog left, replicas that claim, idle ones, number of jobs,
--       for each job: id, execution, data, timeout, result_ttl, losses, retries_left, enqueued_at,
--       1 if it may run only once, ms until its deadline (nil for none), what is to be called at
--       its end, and the end that was decided already (JSON; nil for nothing),
--       then the ids that were dropped because there was nothing to run}
-- flags allow-oom
-- include callbacks
-- include take
-- include wake
local env, channel = ARGV[4], ARGV[5]

local refused = ''
local known = redis.call('HMGET', replica_key, 'state', 'away')
local state = known[1]
local halt = redis.call('HMGET', env_key, 'paused', 'drained')
if not state or halt[1] == '1' or halt[2] == '1' or redis.call('EXISTS', KEYS[11]) == 1 then
  refused = state and 'paused' or 'lost'
  while redis.call('LMOVE', waiting_key, queue_key, 'RIGHT', 'LEFT') do end
else
  if next_up > 0 then take(waiting_key) end
  if state == 'ready' then
    if urgent > 0 then take(urgent_key) end
    if ARGV[9] == '1' then take_first_urgent() else take(queue_key) end
  elseif given == 0 then
    refused = state == 'stopping' and 'draining' or state
  end
end

if state and (known[2] or '0') ~= ARGV[8] then
  redis.call('HSET', replica_key, 'away', ARGV[8])
end
local was_idle = hold(state)
-- Idle replicas wait at the queue alone: where it has run empty, the next urgent job goes there.
if redis.call('LLEN', queue_key) == 0 then
  redis.call('LMOVE', urgent_key, queue_key, 'LEFT', 'RIGHT')
end
local backlog = redis.call('LLEN', queue_key) + redis.call('LLEN', urgent_key)
local idle = redis.call('ZCOUNT', held_key, 0, 0)
-- What is pushed while a replica is idle wakes no scaler: if that was too much for it, this does.
if backlog > 0 and idle == 0 and was_idle then nudge(env_key, channel, env) end
local reply = {refused, backlog, redis.call('ZCARD', held_key), idle, given}
for at = 1, #jobs do
  reply[5 + at] = jobs[at]
end
for _, id in ipairs(dropped) do
  reply[#reply + 1] = id
end
return reply
