-- fell: that the children of a job are to be canceled, for whoever comes to do it (fell.lua).
-- A job's field `reuse_children` is '<how many>,<how many before those of its latest run that has
-- any>,<how far the list was trimmed>,<that run>'; a run is known by when the job was enqueued.
-- include books
local function fell(id, children, run)
  local count, before, _, of = string.match(children or '', '^(%d+),(%d+),(%d+),(.*)$')
  if not count or (run and run ~= of) then
    return
  end
  local from, last = run and tonumber(before) or 0, tonumber(count)
  local noted = read(false, 'HGET', own .. 'felled', id)
  local other_from, other_last = string.match(noted or '', '^(%d+),(%d+)$')
  from = math.min(from, tonumber(other_from) or from)
  last = math.max(last, tonumber(other_last) or last)
  redis.pcall('HSET', own .. 'felled', id, string.format('%d,%d', from, last))
end

-- fell_canceled: all children of a job, if it was canceled or stopped.
local function fell_canceled(id, children)
  local status = children and read(false, 'HGET', rq .. 'job:' .. id, 'status')
  if status == 'canceled' or status == 'stopped' then
    fell(id, children)
  end
end

-- list_lasts: the list of a job's children goes when its record does, though what is felled stays to
-- be found for a minute.
local function list_lasts(id, children)
  local ttl = children and redis.call('TTL', rq .. 'job:' .. id) or -1
  if ttl ~= -1 then
    local least = read(0, 'HEXISTS', own .. 'felled', id) == 1 and 60 or 0
    redis.call('EXPIRE', own .. 'children:' .. id, math.max(ttl, least))
  end
end

-- fell_kin: at the end of an execution.
local function fell_kin(id, letter, verdict, children, run)
  if letter == 'c' or (verdict == 'stopped' and letter == 'e') then
    fell(id, children)
  elseif verdict == 'late' and letter ~= 'l' then
    fell(id, children, run or '')
  end
  list_lasts(id, children)
end
