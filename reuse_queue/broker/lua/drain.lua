-- drain: let a replica go, whatever it holds.
-- KEYS  those of roll
-- ARGV  those of roll, then 6 replica, 7 reason
-- returns 1, or 0 where there is no such replica
-- flags allow-oom
-- include drain
if redis.call('EXISTS', replica_key(ARGV[6])) == 0 then
  return 0
end
if drain(ARGV[6], ARGV[7], true) then
  nudge(env_key, channel, env)
end
return 1
