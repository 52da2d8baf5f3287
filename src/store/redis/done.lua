-- Forgets an effect.
--
-- KEYS[1] the effect    KEYS[2] outbox
-- ARGV[1] its name
--
-- Returns: 1 when it was there.

redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
