-- Counts effects that are due.
--
-- KEYS: outboxes
-- ARGV: none
--
-- Returns: their number, for each outbox.

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local answer = {}
for i = 1, #KEYS do
  answer[i] = redis.call('ZCOUNT', KEYS[i], '-inf', now)
end
return answer
