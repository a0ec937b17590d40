-- await: what has become of jobs; those that have not ended yet note whom to tell of their ends.
-- KEYS  1 mailbox, then for each job its hash and its results
-- returns for each job {status or nil, id of its final record or nil, its words}
-- flags allow-oom
-- include ending
local mailbox = KEYS[1]
local MOST = 20
local OVER = {finished = true, failed = true, stopped = true, canceled = true}

-- note: the longest noted of too many make room: they look for themselves, only later.
local function note(job_key, awaited)
  local names = {}
  for name in string.gmatch(awaited or '', '%S+') do
    if name == mailbox then return end
    names[#names + 1] = name
  end
  if #names >= MOST then table.remove(names, 1) end
  names[#names + 1] = mailbox
  redis.call('HSET', job_key, 'reuse_awaited', table.concat(names, ' '))
end

local endings = {}
for at = 2, #KEYS, 2 do
  local job = redis.pcall('HMGET', KEYS[at], 'status', 'reuse_awaited')
  endings[at / 2] = ending(KEYS[at + 1], job[1])
  if job[1] and not OVER[job[1]] then note(KEYS[at], job[2]) end
end
return endings
