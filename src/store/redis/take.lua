-- Takes effects that are due and hides them for a time.
--
-- KEYS[1] outbox
-- ARGV[1] at most so many    ARGV[2] ms to hide them    ARGV[3] what stands before a name in the key of an effect
--
-- Returns: {name, bytes, name, bytes, …}. Names without bytes are dropped.

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local answer = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  local bytes = redis.call('GET', ARGV[3] .. name)
  if bytes then
    redis.call('ZADD', KEYS[1], now + ARGV[2], name)
    answer[#answer + 1] = name
    answer[#answer + 1] = bytes
  else
    redis.call('ZREM', KEYS[1], name)
  end
end
return answer
