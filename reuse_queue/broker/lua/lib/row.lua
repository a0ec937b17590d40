-- row: what is known of one replica: {name, end of its lease (ms), jobs it holds, its hash}.
-- ARGV  1 rq's prefix, 2 prefix of the environment's own keys
local function row(name, lease)
  return {name, tonumber(lease) or 0,
    redis.call('SCARD', ARGV[1] .. 'worker:' .. name .. ':executions'),
    redis.call('HGETALL', ARGV[2] .. 'replica:' .. name)}
end
