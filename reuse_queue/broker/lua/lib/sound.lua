-- sound: stop before anything is written where a key holds something else than it should.
-- Each is asked for itself: commands that take many sorted sets at once take plain sets, too.
local SIZE = {list = 'LLEN', zset = 'ZCARD', set = 'SCARD', hash = 'HLEN'}

local function sound(kind, ...)
  for _, key in ipairs({...}) do
    local reply = redis.pcall(SIZE[kind], key)
    if type(reply) == 'table' and reply.err then
      error({err = 'WRONGTYPE ' .. key .. ' is a ' .. redis.call('TYPE', key).ok
        .. ' and should be a ' .. kind})
    end
  end
end
