-- fetch: some fields of many jobs.
-- ARGV  1 what the hash of a job starts with, 2 how many jobs, their ids, then the fields
-- returns the values for each job; all nil for one that is not there, or is no hash
local count, found = tonumber(ARGV[2]), {}
for at = 1, count do
  local values = redis.pcall('HMGET', ARGV[1] .. ARGV[2 + at], unpack(ARGV, 3 + count))
  if values.err then
    values = {}
    for field = 3 + count, #ARGV do
      values[field - 2 - count] = false
    end
  end
  found[at] = values
end
return found
