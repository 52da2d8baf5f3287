-- Forgets an idempotency key.
--
-- KEYS[1] the idempotency key
-- ARGV[1] hash of the request (16 bytes), then raw id
--
-- Returns: 1 when it stood for just that.

if redis.call('GETRANGE', KEYS[1], 0, 37) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
