-- Makes a dead letter an effect that is due at once, never tried before.
--
-- KEYS[1] the effect    KEYS[2] outbox    KEYS[3] the dead letter    KEYS[4] dead letters by time
-- ARGV[1] its name    ARGV[2] ms to keep it
--
-- Returns: 1 when there was one.

local letter = redis.call('GET', KEYS[3])
if not letter then
  redis.call('ZREM', KEYS[4], ARGV[1])
  return 0
end
local t = redis.call('TIME')
local _, why = struct.unpack('>I6I2', letter)
redis.call('SET', KEYS[1], '\0\0\0\0' .. string.sub(letter, 8 + why + 5), 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[3])
return 1
