-- now: Redis' clock, in the forms that records need.
-- seconds (float), now_ms (integer), stamp(ms) = rq's text of a time in UTC
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local seconds = tonumber(clock[1]) + clock[2] / 1000000

local function stamp(ms, micros)
  local days = math.floor(ms / 86400000)
  local rest = ms - days * 86400000
  -- Days since 1970-01-01 to year, month, day in the proleptic Gregorian calendar.
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60,
    (rest % 1000) * 1000 + (micros or 0))
end

local now_stamp = stamp(now_ms, clock[2] % 1000)
