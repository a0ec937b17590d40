-- take: start what is at the head of a list, as much as is wanted.
-- KEYS and ARGV  those of claim
-- include claimable
local wanted, seen = tonumber(ARGV[6]), 0

local function take(list_key)
  while given < wanted and seen < 1000 do
    local ids = redis.call('LPOP', list_key, wanted - given)
    if not ids then return end
    seen = seen + #ids
    for _, id in ipairs(ids) do start(id) end
  end
end

-- take_first_urgent: of the queue, only those at its head that go before others.
local function take_first_urgent()
  while given < wanted and seen < 1000 do
    local id = redis.call('LINDEX', queue_key, 0)
    if not id or redis.pcall('HGET', rq .. 'job:' .. id, 'enqueue_at_front') ~= '1' then return end
    seen = seen + 1
    start(redis.call('LPOP', queue_key))
  end
end
