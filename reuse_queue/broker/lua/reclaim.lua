-- reclaim: end replicas whose lease has run out, all that they held as lost.
-- KEYS  those of books
-- ARGV  those of books, then 5 losses after which a job is dead, 6 how many replicas at most,
--       7 how long the waiting list of an ended replica may still be filled (ms)
-- returns their names
-- include retire
local CAUSE = 'lease ran out'
local names = redis.call('ZRANGEBYSCORE', replicas_key, '-inf', now_ms, 'LIMIT', 0, ARGV[6])

local function lost()
  return 'lost'
end

for _, name in ipairs(names) do
  local found = read({}, 'HMGET', own .. 'replica:' .. name, 'host', 'version', 'ordered_at',
    'ready_at')
  local age = now_ms - (tonumber(found[3]) or now_ms)
  local was_ready = found[4] and found[4] ~= '' and '1' or '0'
  -- One broken record must not keep the others from being reclaimed.
  pcall(retire, name, found[1] or '', CAUSE, lost, {'version', found[2] or '', 'was_ready',
    was_ready, 'age', age, 'detail', ''})
end

for _, name in ipairs(redis.call('ZRANGE', ended_key, 0, -1)) do
  return_front(own .. 'waiting:' .. name)
end
redis.call('ZREMRANGEBYSCORE', ended_key, '-inf', now_ms - tonumber(ARGV[7]))
pushed = pushed + #names
flush()
return names
