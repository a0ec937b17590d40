-- cancel: end jobs that wait, order the end of those that run.
-- KEYS  those of books, then 14 urgent, 15 deferred, 16 ready
-- ARGV  those of books, then 5 the job that cancels them, '' for none, 6 … ids
-- returns the status that each had, nil where there is no such job; then the ids of those whose
--       children are to be canceled, too
-- flags allow-oom
-- include cancels
-- include fell
sound_books()
local statuses, parents = {}, {}
for at = 6, #ARGV do
  local id = ARGV[at]
  local job = read({}, 'HMGET', rq .. 'job:' .. id, 'status', 'worker_name', 'rate_limit_key',
    'reuse_awaited', 'reuse_children', 'reuse_parent')
  statuses[at - 5] = job[1]
  if job[1] == 'started' or WAITING[job[1]] then
    if ARGV[5] ~= '' and string.find(job[6] or '', ARGV[5] .. ':', 1, true) == 1 then
      redis.call('HSET', rq .. 'job:' .. id, 'reuse_given_up', '1')
    end
    if job[5] then
      fell(id, job[5])
      parents[#parents + 1] = id
    end
  end
  if job[1] == 'started' then
    order_end(id, job[2] or '')
  elseif WAITING[job[1]] then
    end_waiting(id, job[1], job[3], job[4])
  end
end
deliver()
for _, id in ipairs(parents) do statuses[#statuses + 1] = id end
return statuses
