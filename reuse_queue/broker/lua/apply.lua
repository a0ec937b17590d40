-- apply: carry out a decision of the leading scaler; each action only where it still fits.
-- KEYS  those of orders, then 5 leader, 6 decisions, 7 queue, 8 urgent, 9 scheduled
-- ARGV  those of orders, then 8 token, 9 the decision (JSON) without its actions, then for each
--       action: kind, replica, host, version, reason, 1 to force it, the same as JSON
-- returns how many actions took effect; -1 another one leads (nothing written)
-- flags allow-oom
-- include orders
-- include decoded
-- include demand
local KEPT = 1000
if redis.call('GET', KEYS[5]) ~= ARGV[8] then
  return -1
end

local function wanted()
  local jobs = backlog(KEYS[7], KEYS[8], KEYS[9])
  for _, name in ipairs(redis.call('ZRANGE', replicas_key, 0, -1)) do
    local held, next_up = on_hand(name)
    jobs = jobs + held + next_up
  end
  return jobs
end

local decision = cjson.decode(ARGV[9])
local seen = redis.call('HMGET', env_key, 'state', 'degraded')
if decision.state == 'dormant' and wanted() > 0 then
  -- A job came since the snapshot: the next look sees it.
  return 0
end
if seen[1] ~= decision.state then
  redis.call('HSET', env_key, 'state', decision.state)
  if decision.state == 'active' then
    redis.call('HSET', env_key, 'active_since', now_ms)
  end
end
if (seen[2] or '') ~= decision.degraded then
  redis.call('HSET', env_key, 'degraded', decision.degraded)
end

local done = {}
for at = 10, #ARGV, 7 do
  local kind, name, host, version, reason, force, text = unpack(ARGV, at, at + 6)
  local acts = kind == 'start' and start(name, host, version)
    or kind == 'drain' and drain(name, reason, force == '1') or kind == 'undrain' and undrain(name)
  if acts then
    done[#done + 1] = text
  end
end

local last = redis.pcall('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1]
local before = decoded(last and last[2][2])
if #done > 0 or seen[1] ~= decision.state or before.reason ~= decision.reason
  or before.unschedulable ~= decision.unschedulable or before.degraded ~= decision.degraded then
  redis.pcall('XADD', KEYS[6], 'MAXLEN', '~', KEPT, '*', 'decision',
    string.sub(ARGV[9], 1, -2) .. ', "actions": [' .. table.concat(done, ', ') .. ']}')
end
return #done
