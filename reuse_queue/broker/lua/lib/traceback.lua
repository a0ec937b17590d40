-- traceback: a text as rq keeps exceptions: base64 of a zlib stream (its one block not compressed,
-- since Lua has no deflate here).
local BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local LONGEST = 65535

local function base64(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = string.byte(bytes, at, at + 2)
    local group = a * 65536 + (b or 0) * 256 + (c or 0)
    for digit, shift in ipairs({262144, 4096, 64, 1}) do
      local index = math.floor(group / shift) % 64 + 1
      local padded = (digit == 3 and not b) or (digit == 4 and not c)
      out[#out + 1] = padded and '=' or string.sub(BASE64, index, index)
    end
  end
  return table.concat(out)
end

local function adler32(bytes)
  local low, high = 1, 0
  for at = 1, #bytes do
    low = (low + string.byte(bytes, at)) % 65521
    high = (high + low) % 65521
  end
  return string.char(math.floor(high / 256), high % 256, math.floor(low / 256), low % 256)
end

local function traceback(text)
  local bytes = string.sub(text, 1, LONGEST)
  local low, high = #bytes % 256, math.floor(#bytes / 256)
  return base64(string.char(0x78, 0x01, 0x01, low, high, 255 - low, 255 - high) .. bytes
    .. adler32(bytes))
end
