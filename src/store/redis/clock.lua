-- Not an operation: the time by which everything is judged, put in front of those that need it.
--
-- KEYS: none
-- ARGV: none
-- Returns: nothing

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
