-- Makes an effect due again and counts one more attempt.
--
-- KEYS[1] the effect    KEYS[2] outbox
-- ARGV[1] its name    ARGV[2] when, in ms
--
-- Returns: 1 when it was there.

local attempts = redis.call('GETRANGE', KEYS[1], 0, 3)
if #attempts < 4 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('SETRANGE', KEYS[1], 0, struct.pack('>I4', struct.unpack('>I4', attempts) + 1))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
