-- kin_fates: what becomes of jobs that were held together, some of which have enqueued others.
-- include records
local ENDS = {failed = true, canceled = true, stopped = true}
local GOES_ON = {back = true, lost = true}

-- kin_fates: by executions. Who has canceled a child that would not end but with the replica loses
-- it, too: given back uncharged, it would do so again for ever. And children go with a parent that
-- ends here, or they would run once more before somebody comes to cancel them.
local function kin_fates(held, fates, cancels_key)
  local found, parents, at_fault = {}, {}, {}
  for _, each in ipairs(held) do
    local execution = each.execution
    local ordered = read(0, 'SISMEMBER', cancels_key, execution) == 1
    local fate = fates(execution)
    each.killed = ENDS[fate] -- while it ran, for this
    found[execution] = ordered and 'canceled' or fate
    local job = read({}, 'HMGET', rq .. 'job:' .. each.id, 'reuse_parent', 'reuse_given_up',
      'reuse_detached')
    local parent = string.match(job[1] or '', '([^:]+)$')
    if parent and job[2] and found[execution] == 'canceled' then at_fault[parent] = true end
    if job[3] ~= '1' then parents[execution] = parent end
  end
  for execution in pairs(at_fault) do
    if found[execution] == 'back' then found[execution] = 'lost' end
  end
  local more = true
  while more do
    more = false
    for execution, parent in pairs(parents) do
      if ENDS[found[parent]] and GOES_ON[found[execution]] then
        found[execution], more = 'canceled', true
      end
    end
  end
  return found
end
