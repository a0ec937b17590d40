-- sound: stop before anything is written where a key holds something else than it should.
-- A set in place of a sorted set is not noticed: one question asks for many keys, and takes both.
local SIZE = {list = 'LLEN', zset = 'ZCARD', set = 'SCARD', hash = 'HLEN'}
local MANY = {zset = 'ZINTERCARD', set = 'SINTERCARD'}

local function name_wrong(kind, keys)
  for _, key in ipairs(keys) do
    local reply = redis.pcall(SIZE[kind], key)
    if type(reply) == 'table' and reply.err then
      error({err = 'WRONGTYPE ' .. key .. ' is a ' .. redis.call('TYPE', key).ok
        .. ' and should be a ' .. kind})
    end
  end
end

local function sound(kind, ...)
  local keys, reply = {...}, nil
  if MANY[kind] and #keys > 1 then
    -- As long as the smallest of them: there is always one with no more than there are replicas.
    reply = redis.pcall(MANY[kind], #keys, unpack(keys))
  end
  if reply == nil or type(reply) == 'table' and reply.err then
    name_wrong(kind, keys)
  end
end
