-- Remembers which verification an idempotency key made, or says what it made before.
--
-- KEYS[1] the idempotency key
-- ARGV[1] hash of the request (16 bytes), then raw id    ARGV[2] ms to keep it
--
-- Returns: false when it is new or of this very attempt, else what it stands for: hash, raw id, time in ms (6 bytes).

local found = redis.call('GET', KEYS[1])
if not found then
  local t = redis.call('TIME')
  local now = struct.pack('>I6', t[1] * 1000 + math.floor(t[2] / 1000))
  redis.call('SET', KEYS[1], ARGV[1] .. now, 'PX', ARGV[2])
  return false
end
if string.sub(found, 1, 38) == ARGV[1] then return false end
return found
