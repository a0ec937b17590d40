-- ending: what the record of a job's end says, where the job has ended.
local ENDED = {finished = true, failed = true, stopped = true}
local RETRIED = '4'

-- ending: {status or false, id of the final record or nil, its words}.
local function ending(results_key, status)
  local records = ENDED[status]
    and redis.pcall('XREVRANGE', results_key, '+', '-', 'COUNT', 10) or {}
  -- A job that was put back has the record of its earlier end; only an ended one's is its own.
  for _, record in ipairs(records) do
    local words = record[2]
    for at = 1, #words, 2 do
      if words[at] == 'type' and words[at + 1] ~= RETRIED then
        return {status, record[1], words}
      end
    end
  end
  return {status or false}
end
