-- reclaim: end replicas whose lease has run out, all that they held as lost.
-- Then jobs whose lease ran out though no replica on the books holds them: a whole installation
-- may have been away for so long that the records of what each replica held have expired.
-- KEYS  those of books
-- ARGV  those of books, then 5 losses after which a job is dead, 6 how many replicas at most,
--       7 how long the waiting list of an ended replica may still be filled (ms)
-- returns the replicas' names
-- flags allow-oom
-- include retire
-- include flush
sound_books()
local CAUSE = 'lease ran out'
local names = redis.call('ZRANGEBYSCORE', replicas_key, '-inf', now_ms, 'LIMIT', 0, ARGV[6])

local function lost()
  return 'lost'
end

for _, name in ipairs(names) do
  local found = read({}, 'HMGET', own .. 'replica:' .. name, 'host', 'version', 'ordered_at',
    'ready_at', 'guest')
  local age = now_ms - (tonumber(found[3]) or now_ms)
  local was_ready = found[4] and found[4] ~= '' and '1' or '0'
  -- One broken record must not keep the others from being reclaimed.
  pcall(retire, name, found[1] or '', CAUSE, lost, not found[5] and {'version', found[2] or '',
    'was_ready', was_ready, 'age', age, 'detail', ''})
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', wip_key, '-inf', seconds, 'LIMIT', 0, 1000)) do
  local held = holding(member)
  if held then
    local name = read(false, 'HGET', rq .. 'job:' .. held.id, 'worker_name') or ''
    read(0, 'SREM', rq .. 'worker:' .. name .. ':executions', member)
    settle_or_salvage(held, 'lost', name, death_line(name, '', CAUSE), own .. 'cancels:' .. name)
  else
    redis.call('ZREM', wip_key, member)
  end
end

for _, name in ipairs(redis.call('ZRANGE', ended_key, 0, -1)) do
  return_waiting(own .. 'waiting:' .. name)
end
return_front()
redis.call('ZREMRANGEBYSCORE', ended_key, '-inf', now_ms - tonumber(ARGV[7]))
pushed = pushed + #names
flush()
return names
