-- books: where an environment's jobs are kept, for the steps that end or move them.
-- KEYS  1 queue, 2 wip, 3 finished, 4 failed, 5 canceled, 6 scheduled, 7 environment, 8 held,
--       9 replicas, 10 ended, 11 all workers, 12 the queue's workers, 13 deaths
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys, 3 environment, 4 wake channel
-- include now
-- include wake
-- include numbers
-- include sound
local queue_key, wip_key, finished_key, failed_key, canceled_key, scheduled_key, env_key, held_key,
  replicas_key, ended_key, workers_key, workers_of_key, deaths_key = unpack(KEYS)
local rq, own, env, channel = unpack(ARGV, 1, 4)

-- sound_books: whether a step may write to all of these; it has an error where it may not.
local function sound_books()
  sound('list', queue_key)
  sound('zset', wip_key, finished_key, failed_key, canceled_key, scheduled_key, held_key,
    replicas_key, ended_key)
  sound('hash', env_key)
  sound('set', workers_key, workers_of_key)
end

-- read: a reply, or `default` where the key holds something else than it should.
local function read(default, ...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    return default
  end
  return reply
end
