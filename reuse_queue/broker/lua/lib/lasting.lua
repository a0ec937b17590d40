-- lasting: how long a failed or canceled job is kept (s); -1 for ever.
-- include records
local YEAR, LONGEST = 31536000, 10000000000

local function lasting(failure_ttl)
  return math.ceil(math.min(span(failure_ttl, YEAR), LONGEST))
end

-- keep_for: let a job go after so many seconds, with all that is kept under its name.
local function keep_for(id, ttl)
  redis.call('EXPIRE', rq .. 'job:' .. id, ttl)
  redis.call('EXPIRE', rq .. 'job:' .. id .. ':dependents', ttl)
  redis.call('EXPIRE', rq .. 'job::' .. id .. ':dependencies', ttl)
end
