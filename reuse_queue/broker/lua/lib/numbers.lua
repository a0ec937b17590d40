-- numbers: what fields that anybody may have written say, within reason.
local REASON = 1000000

-- whole: a count; 0 where none stands, or one that cannot be meant.
local function whole(text)
  local number = tonumber(text) or 0
  return number >= 0 and number <= REASON and math.floor(number) == number and number or 0
end

-- span: seconds; `default` where none stand (nan is no number of them).
local function span(text, default)
  local number = tonumber(text)
  return number and number == number and number or default
end

-- lapse_in: let a key go after so many seconds, where they are such.
local function lapse_in(key, lasts)
  if (tonumber(lasts) or 0) > 0 then
    redis.pcall('EXPIRE', key, lasts)
  end
end
