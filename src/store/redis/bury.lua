-- Moves an effect to the dead letters.
--
-- KEYS[1] the effect    KEYS[2] outbox    KEYS[3] the dead letter    KEYS[4] dead letters by time
-- ARGV[1] its name    ARGV[2] why    ARGV[3] ms to keep it
--
-- Returns: 1 when it was there. A dead letter: time (6), length of the reason (2), reason, the bytes of the effect.

local bytes = redis.call('GET', KEYS[1])
if not bytes then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', KEYS[3], struct.pack('>I6I2', now, #ARGV[2]) .. ARGV[2] .. bytes, 'PX', ARGV[3])
redis.call('ZADD', KEYS[4], now, ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
for _, old in ipairs(redis.call('ZRANGE', KEYS[4], '-inf', now - ARGV[3], 'BYSCORE', 'LIMIT', 0, 32)) do
  redis.call('ZREM', KEYS[4], old)
end
return 1
