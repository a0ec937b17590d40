-- row: what is known of one replica: {name, end of its lease (ms), jobs it holds, its hash}.
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys
-- hash: an empty one where the key holds something else: one record must not hide the others.
local function hash(key)
  local found = redis.pcall('HGETALL', key)
  return found.err and {} or found
end

local function row(name, lease)
  return {name, tonumber(lease) or 0,
    tonumber(redis.pcall('SCARD', ARGV[1] .. 'worker:' .. name .. ':executions')) or 0,
    hash(ARGV[2] .. 'replica:' .. name)}
end
