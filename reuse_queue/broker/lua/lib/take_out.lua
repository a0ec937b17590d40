-- take_out: an id near either end of a list. One that is deep inside stays (nothing here may cost
-- as much as the backlog is long): a claim drops it, since its job is not queued.
local NEAR = 1000
local function take_out(list_key, id)
  for _, rank in ipairs({1, -1}) do
    if redis.call('LPOS', list_key, id, 'RANK', rank, 'MAXLEN', NEAR) then
      return redis.call('LREM', list_key, rank, id)
    end
  end
  return 0
end
