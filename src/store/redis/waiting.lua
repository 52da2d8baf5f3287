-- Counts effects that are due.
--
-- KEYS[1] outbox
-- ARGV: none
--
-- Returns: their number.

local t = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], '-inf', t[1] * 1000 + math.floor(t[2] / 1000))
