-- enqueue: write jobs and push their ids; a job that is there already is left as it is.
-- KEYS  1 queue, 2 urgent, 3 scheduled, 4 all queues, 5 environment, 6 limits, 7 held, then, where
--       a job enqueues them, 8 its children, 9 those that are felled in its environment; the last:
--       the mark that this call leaves, where its jobs may be gone when it is repeated
-- ARGV  1 prefix of the keys of jobs, 2 environment, 3 wake channel, 4 how long the mark stays (s;
--       '' for none), 5 the job that enqueues them, '' for none, 6 its execution, 7 its run,
--       then for each group of like jobs: how many they are, 1 if signed,
--       '<delay>,<queue_timeout>,<deadline>' (s; each may be empty, '' for none), 1 if urgent, 2 if
--       a job enqueues it, how many words follow, the fields and values that they have in common,
--       then for each its id, data and signature, if signed
-- returns how many were new
-- include adopt
-- include anew
-- include limits
-- include wake
-- include fresh
-- include ranks
local at, mark_key = 8, ARGV[4] ~= '' and KEYS[#KEYS]
local said = mark_key and redis.call('GET', mark_key)
if said then return tonumber(said) end
while at <= #ARGV do
  local count, signed, times, urgent, words = unpack(ARGV, at, at + 4)
  local first, width = at + 5 + words, 2 + signed
  local delay, queue_timeout, deadline = string.match(times, '^(.*),(.*),(.*)$')
  local due_in = tonumber(delay) or 0
  local fields, data = fresh(at + 5, first - 1, due_in > 0, signed == '1')
  at = first + width * count
  for place = first, at - 1, width do
    local id = ARGV[place]
    local job_key = jobs_prefix .. id
    -- One that exists was written by an earlier try, or an earlier execution of its parent.
    if redis.call('EXISTS', job_key) == 0 or anew(id, job_key) then
      if parent ~= '' then adopted[#adopted + 1] = id end
      fields[data], fields[data + 2] = ARGV[place + 1], signed == '1' and ARGV[place + 2] or nil
      redis.call('HSET', job_key, unpack(fields))
      set_limits(limits_key, job_key, id, due_in, queue_timeout, deadline)
      push(id, due_in, urgent)
    end
  end
end

local length = redis.call('LLEN', queue_key)
if #high > 0 then
  -- Replicas that wait watch the queue alone; none waits while something is in it.
  redis.call('RPUSH', length == 0 and queue_key or urgent_key, unpack(high))
end
-- The newest first: it is in depth that a tree of jobs has the fewest of them wait at a time.
for place = #children, 1, -1 do
  redis.call('LPUSH', length + #high == 0 and queue_key or urgent_key, children[place])
end
if #normal > 0 then redis.call('RPUSH', queue_key, unpack(normal)) end
if #delayed > 0 then redis.call('ZADD', scheduled_key, unpack(delayed)) end
local count = #high + #normal + #children
if count + #delayed > 0 then redis.call('SADD', queues_key, queue_key) end
if count > 0 then wake(env_key, channel, env, held_key, length + count) end
adopt()
if mark_key then redis.call('SET', mark_key, count + #delayed / 2, 'EX', ARGV[4]) end
return count + #delayed / 2
