-- Writes something without meaning, to see that writing works.
--
-- KEYS[1] where
-- ARGV[1] ms to keep it
--
-- Returns: the time in ms.

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', KEYS[1], now, 'PX', ARGV[1])
return now
