-- adopt: jobs that another one enqueues are its children: each names it, and it has a list of them.
-- KEYS and ARGV  those of enqueue
local queue_key, urgent_key, scheduled_key, queues_key, env_key, limits_key, held_key, children_key,
  felled_key = unpack(KEYS)
local jobs_prefix, env, channel = unpack(ARGV, 1, 3)
local parent, execution, run = unpack(ARGV, 5, 7)
-- How many of the children that have ended stay listed; how long (s) a list without an end lasts.
local MOST, LASTS = 10000, 31536000
local OVER = {finished = true, failed = true, stopped = true, canceled = true}
local adopted = {}

-- trim: look at some older ones, from where the last look ended; returns where this one did.
local function trim(looked, some)
  local newest = redis.call('ZRANGE', children_key, -MOST, -MOST, 'WITHSCORES')
  local seen = newest[2] and redis.call('ZRANGEBYSCORE', children_key, '(' .. looked,
    '(' .. newest[2], 'WITHSCORES', 'LIMIT', 0, some) or {}
  local over = {}
  for at = 1, #seen, 2 do
    local status = redis.pcall('HGET', jobs_prefix .. seen[at], 'status')
    if type(status) ~= 'string' or OVER[status] then over[#over + 1] = seen[at] end
  end
  if #over > 0 then redis.call('ZREM', children_key, unpack(over)) end
  return #seen == 2 * some and seen[#seen] or 0
end

local function adopt()
  local seen = #adopted > 0 and redis.pcall('HMGET', jobs_prefix .. parent, 'status',
    'enqueued_at', 'reuse_children') or {}
  if not seen[1] then return end
  local count, first, looked, of = string.match(seen[3] or '', '^(%d+),(%d+),(%d+),(.*)$')
  count = tonumber(count) or 0
  if not of or (of ~= run and seen[2] == run) then first, of = count, run end
  local listed = {}
  for place, id in ipairs(adopted) do
    listed[2 * place - 1], listed[2 * place] = count + place, id
  end
  if type(redis.pcall('ZADD', children_key, unpack(listed))) == 'table' then return end
  redis.call('EXPIRE', children_key, LASTS)
  count = count + #adopted
  looked = count > MOST and trim(looked or 0, 2 * #adopted) or 0
  redis.call('HSET', jobs_prefix .. parent, 'reuse_children',
    string.format('%d,%d,%d,%s', count, first, looked, of))
  if seen[1] == 'canceled' or seen[1] == 'stopped' then
    -- Code that it has left running goes on to enqueue.
    redis.pcall('HSET', felled_key, parent, '0,' .. count)
  end
end
