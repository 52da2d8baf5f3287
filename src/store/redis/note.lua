-- Notes how the result of a verification came to the backend.
--
-- KEYS[1] the note
-- ARGV[1] it    ARGV[2] ms to keep it
--
-- Returns: 1.

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
