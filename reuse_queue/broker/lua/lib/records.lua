-- records: what is written of a job when an execution of it ends, and what goes.
-- include books
-- include mail
local gone = {}
local tally = {finished = 0, failed = 0, retried = 0, canceled = 0, stopped = 0}
local pushed = 0

-- forget: drop the records of a job's only execution (flush does it).
local function forget(id, execution)
  gone[#gone + 1] = rq .. 'execution:' .. id .. ':' .. execution
  gone[#gone + 1] = rq .. 'executions:' .. id
end

-- close: the status after a run; a job that was claimed ahead started later than its claim said.
local function close(id, status, took)
  -- To the microsecond: short jobs must keep their order.
  local began = clock[1] * 1000000 + clock[2] - math.floor(took * 1000000)
  redis.call('HSET', rq .. 'job:' .. id, 'status', status, 'ended_at', now_stamp, 'last_heartbeat',
    now_stamp, 'started_at', stamp(math.floor(began / 1000), began % 1000))
  tally[status] = tally[status] + 1
end

-- record: append a result; `field` is return_value or exc_string, absent where `payload` is ''.
local function record(id, kind, holder, execution, took, ttl, field, payload)
  local key = rq .. 'results:' .. id
  local entry = {'XADD', key, 'MAXLEN', '~', 10, '*', 'type', kind, 'worker_name', holder,
    'execution_id', execution, 'execution_started_at', string.format('%.6f', seconds - took),
    'execution_ended_at', string.format('%.6f', seconds)}
  if payload ~= '' then
    entry[17], entry[18] = field, payload
  end
  if type(redis.pcall(unpack(entry))) == 'table' then
    -- Somebody else's data, where a result belongs that nobody has but us.
    redis.call('DEL', key)
    redis.call(unpack(entry))
  end
  if ttl < 0 then
    redis.call('PERSIST', key)
  else
    redis.call('EXPIRE', key, ttl)
  end
end

-- delete: all that is kept of a job that shall leave nothing behind.
local function delete(id)
  local group = redis.call('HGET', rq .. 'job:' .. id, 'group_id')
  if group and group ~= '' then
    redis.call('SREM', rq .. 'group:' .. group, id)
  end
  redis.call('DEL', rq .. 'job:' .. id, rq .. 'job:' .. id .. ':dependents',
    rq .. 'job::' .. id .. ':dependencies', rq .. 'results:' .. id)
end
