-- result: how far a job is, and the record of its end if it has ended.
-- KEYS  1 job hash, 2 its results
-- returns {status or nil, id of its newest record or '0-0', id of the final one or nil, its words}
local ENDED = {finished = true, failed = true, stopped = true}
local RETRIED = '4'
local status = redis.call('HGET', KEYS[1], 'status')
local records = status and redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 10) or {}
local newest = records[1] and records[1][1] or '0-0'
if ENDED[status] then
  -- A job that was put back has the record of its earlier end; only an ended one's is its own.
  for _, record in ipairs(records) do
    local words = record[2]
    for at = 1, #words, 2 do
      if words[at] == 'type' and words[at + 1] ~= RETRIED then
        return {status, newest, record[1], words}
      end
    end
  end
end
return {status, newest}
