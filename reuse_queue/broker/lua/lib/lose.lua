-- lose: what becomes of a job whose replica was lost while it ran.
-- ARGV  5 losses after which a job is dead
-- include holdings
-- include decide
-- include still_decided
-- include fail
-- include traceback
-- include late
-- include fell
local max_deliveries = tonumber(ARGV[5])
local REMEMBERED = 10

local function times(count)
  return count == 1 and 'once' or string.format('%d times', count)
end

-- remembered: the lines of a job's latest deaths; none where they cannot be read.
local function remembered(text)
  local readable, all = pcall(cjson.decode, text or '')
  local lines = {}
  if readable and type(all) == 'table' then
    for at = math.max(1, #all - REMEMBERED + 2), #all do
      lines[#lines + 1] = tostring(all[at])
    end
  end
  return lines
end

-- fail_for_good: at once, or when that has been called which the job names.
local function fail_for_good(held, holder, text)
  if not decide_held(held, 'failed', text, false) then
    fail(held.id, held.execution, holder, traceback(text), held.took, false)
  end
end

local function obituary(id, losses, deaths, once)
  local why = once and 'and may run only once' or string.format('of at most %d', max_deliveries)
  return string.format('Replicas that were lost while they ran this job:\n  %s\n'
    .. 'reuse_queue.errors.JobLost: job %s was lost with its replica %s, %s: %s',
    table.concat(deaths, '\n  '), id, times(losses), why, deaths[#deaths])
end

-- lose: `line` says how the replica died. Front of the queue after the first loss; at the back
-- after another, so that a job that kills its replicas does not block the head; a child to the front.
local function lose(held, holder, line)
  local id, execution = held.id, held.execution
  local job_key = rq .. 'job:' .. id
  local job = redis.call('HMGET', job_key, 'reuse_losses', 'reuse_deaths', 'reuse_once', 'reuse_by',
    'reuse_deadline', 'reuse_children', 'enqueued_at')
  local losses = whole(job[1]) + 1
  local deaths = remembered(job[2])
  deaths[#deaths + 1] = line
  redis.call('HSET', job_key, 'reuse_losses', losses, 'reuse_deaths', cjson.encode(deaths))
  if still_decided(held, max_deliveries) then
    return
  end
  local once = job[3] == '1'
  if once or losses >= max_deliveries then
    return fail_for_good(held, holder, obituary(id, losses, deaths, once))
  end
  local _, end_by = limits_of(job[4])
  if end_by and end_by <= now_ms then
    fell(id, job[6], job[7] or '')
    return fail_for_good(held, holder, line .. '\nreuse_queue.errors.' .. late(id, job[5]))
  end
  give_back(id, execution, losses > 1)
end
