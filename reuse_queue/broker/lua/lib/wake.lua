-- include now
-- nudge, wake: tell the scaler that an environment has news, once for each of its looks.
-- The scaler sets `poke` when it looks; the first who has news clears it and publishes.
local function nudge(env_key, channel, env)
  if redis.call('HGET', env_key, 'poke') == '1' then
    redis.call('HSET', env_key, 'poke', '0')
    redis.call('PUBLISH', channel, env)
  end
end

-- wake: for work that has come, which ends dormancy; other news must not.
local function wake(env_key, channel, env)
  local seen = redis.call('HMGET', env_key, 'state', 'poke')
  if seen[1] == 'dormant' then
    redis.call('HSET', env_key, 'state', 'active', 'active_since', now_ms, 'poke', '0')
  elseif seen[2] == '1' then
    redis.call('HSET', env_key, 'poke', '0')
  else
    return
  end
  redis.call('PUBLISH', channel, env)
end
