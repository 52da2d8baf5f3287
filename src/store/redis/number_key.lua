-- Keeps the first key of the number hashes that is offered.
--
-- KEYS[1] where it is kept, without expiry
-- ARGV[1] a fresh one
--
-- Returns: the one that is kept.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
