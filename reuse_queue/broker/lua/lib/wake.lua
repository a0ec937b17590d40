-- include now
-- nudge, wake: tell the scaler that an environment has news, once for each of its looks.
-- The scaler sets `poke` when it looks; the first who has news clears it and publishes.
local function nudge(env_key, channel, env)
  if redis.pcall('HGET', env_key, 'poke') == '1' then
    redis.call('HSET', env_key, 'poke', '0')
    redis.call('PUBLISH', channel, env)
  end
end

-- wake: for work that has come, which ends dormancy; other news must not. Work that idle replicas
-- are about to take is no news: `idle_for` says how many of them, in `held_key`, would do.
local function wake(env_key, channel, env, held_key, idle_for)
  local seen = redis.pcall('HMGET', env_key, 'state', 'poke')
  if seen[1] == 'dormant' then
    redis.call('HSET', env_key, 'state', 'active', 'active_since', now_ms, 'poke', '0')
  elseif seen[2] == '1' and not (idle_for
    and (tonumber(redis.pcall('ZCOUNT', held_key, 0, 0)) or 0) >= idle_for) then
    redis.call('HSET', env_key, 'poke', '0')
  else
    return
  end
  redis.call('PUBLISH', channel, env)
end
