-- still_decided: whether an end goes on waiting though the replica is lost that had taken it; it
-- does, unless that is the `most`-th one.
-- include decide
local function still_decided(held, most)
  local job_key = rq .. 'job:' .. held.id
  local job = redis.call('HMGET', job_key, 'reuse_decided', 'enqueued_at')
  local found, before = is_decided(job[1], job[2])
  local lost = whole(tostring(before)) + 1
  if not found or lost >= most then
    return false
  end
  found.lost = lost
  redis.call('HSET', job_key, 'reuse_decided', cjson.encode(found))
  give_back(held.id, held.execution)
  return true
end
