-- elsewhere: whether something held is another environment's: a guest may serve several under
-- one name.
-- include books
local function elsewhere(held)
  if read(false, 'ZSCORE', wip_key, held.member) then
    return false
  end
  local origin = read(false, 'HGET', rq .. 'job:' .. held.id, 'origin')
  return origin and origin ~= env
end
