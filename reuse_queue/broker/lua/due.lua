-- due: let scheduled jobs whose time has come into the queue, fail those that have waited too
-- long, and keep the registries in order.
-- KEYS  those of books, then 14 ready, 15 urgent, 16 limits
-- ARGV  those of books, then 5 how many jobs at most
-- returns how many went
-- flags allow-oom
-- include expire
-- include flush
sound_books()
local ready_key, limit = KEYS[14], tonumber(ARGV[5])
-- rq 2 schedules a job a moment before it writes it.
local UNWRITTEN_S = 60
-- What rq readies it also queues, at once, unless it dies in between.
local LEFT_READY_S = 5
local TRIMMED = 10000
local count = 0

local function enter(registry_key, status, before)
  local front = {}
  local entries = redis.call('ZRANGEBYSCORE', registry_key, '-inf', before, 'WITHSCORES', 'LIMIT', 0,
    limit - count)
  for at = 1, #entries, 2 do
    local id = entries[at]
    local found = read(false, 'HGET', rq .. 'job:' .. id, 'status')
    if found or tonumber(entries[at + 1]) < seconds - UNWRITTEN_S then
      redis.call('ZREM', registry_key, id)
    end
    if found == status then
      count = count + 1
      if goes_first(id) then
        table.insert(front, 1, id)
      else
        push(env, id, false)
      end
    end
  end
  -- Each goes to the very front: the first of them last.
  for _, id in ipairs(front) do
    push(env, id, true)
  end
end

-- trim: forget jobs that have expired; those below 0 are kept for ever.
local function trim(registry_key)
  local first = redis.call('ZCOUNT', registry_key, '-inf', '(0')
  local past = redis.call('ZCOUNT', registry_key, 0, math.floor(seconds))
  if past > 0 then
    redis.call('ZREMRANGEBYRANK', registry_key, first, first + math.min(past, TRIMMED) - 1)
  end
end

expire_all(limit)
enter(scheduled_key, 'scheduled', seconds)
enter(ready_key, 'ready_to_enqueue', seconds - LEFT_READY_S)
trim(finished_key)
trim(failed_key)
return_front()
flush()
return count
