-- release: give jobs back to the front of the queue, uncharged, in the order of their claims.
-- KEYS  those of holder
-- ARGV  those of holder, then 6 'only' or 'except', 7 … executions
-- returns how many went back
-- flags allow-oom
-- include holder
-- include holdings
-- include elsewhere
-- include flush
-- include fell
sound_books()
sound('set', holds_key, cancels_key)
local named = {}
for at = 7, #ARGV do
  named[ARGV[at]] = true
end

for _, each in ipairs(holdings(holds_key)) do
  if (named[each.execution] or false) == (ARGV[6] == 'only') and not elsewhere(each) then
    redis.call('SREM', holds_key, each.member)
    local job = read({}, 'HMGET', rq .. 'job:' .. each.id, 'status', 'reuse_awaited',
      'reuse_children')
    if redis.call('ZREM', wip_key, each.member) == 0 then
      gone[#gone + 1] = rq .. 'execution:' .. each.member
    elseif job[1] ~= 'started' then
      forget(each.id, each.execution)
    elseif redis.call('SREM', cancels_key, each.execution) == 1 then
      cancel(each.id, each.execution, each.took)
      tell(each.id, job[2])
      fell(each.id, job[3])
    else
      give_back(each.id, each.execution)
    end
  end
end
return_waiting(waiting_key)
return_front()
flush()
note_rest()
return pushed
