-- Takes a dead letter away.
--
-- KEYS[1] the dead letter    KEYS[2] dead letters by time
-- ARGV[1] its name
--
-- Returns: 1 when there was one.

redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
