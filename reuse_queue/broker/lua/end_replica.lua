-- end_replica: take a dead replica off the books; what it held goes back or ends.
-- KEYS  those of books
-- ARGV  those of books, then 5 losses after which a job is dead, 6 replica, 7 host, 8 version,
--       9 cause, 10 1 if it was ready, 11 its age (ms), 12 detail, 13 1 if it was asked to end,
--       then pairs: an execution, or how those of a claim start, and unbegun where that is sure;
--       or an execution that was running and what becomes of it (lost, failed, canceled, stopped)
-- returns how many of its jobs went back or ended
-- flags allow-oom
-- include retire
-- include flush
sound_books()
local fates = {}
for at = 14, #ARGV, 2 do
  fates[ARGV[at]] = ARGV[at + 1]
end
local death = {'version', ARGV[8], 'was_ready', ARGV[10], 'age', ARGV[11], 'detail', ARGV[12]}
local count = retire(ARGV[6], ARGV[7], ARGV[9], function(execution)
  return fates[execution] or fates[string.sub(execution, 1, 24)] or 'back'
end, ARGV[13] ~= '1' and death or nil)
flush()
nudge(env_key, channel, env)
return count
