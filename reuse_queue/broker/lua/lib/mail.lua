-- mail: who awaits a job is told of its end: the job's id goes to the mailboxes that its field
-- `reuse_awaited` names.
local CHUNK_OF_MAIL, MAIL_KEPT_S = 1000, 60
local mail = {}

local function tell(id, awaited)
  if not awaited then
    return
  end
  redis.pcall('HDEL', rq .. 'job:' .. id, 'reuse_awaited')
  for mailbox in string.gmatch(awaited, 'reuse:%S*mail:%x+') do
    mail[mailbox] = mail[mailbox] or {}
    table.insert(mail[mailbox], id)
  end
end

-- tell_if_over: for ends that may have become another try.
local function tell_if_over(id, awaited)
  local OVER = {finished = true, failed = true, stopped = true, canceled = true}
  local status = awaited and read(false, 'HGET', rq .. 'job:' .. id, 'status')
  if awaited and (not status or OVER[status]) then
    tell(id, awaited)
  end
end

-- deliver: send, once, what has been collected. The first mail that nobody takes says how long
-- all of it is kept: a caller that has died gathers no more than comes within that time.
local function deliver()
  for mailbox, ids in pairs(mail) do
    for from = 1, #ids, CHUNK_OF_MAIL do
      redis.pcall('RPUSH', mailbox, unpack(ids, from, math.min(from + CHUNK_OF_MAIL - 1, #ids)))
    end
    redis.pcall('EXPIRE', mailbox, MAIL_KEPT_S, 'NX')
  end
  mail = {}
end
