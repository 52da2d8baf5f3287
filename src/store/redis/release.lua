-- Lets a number go.
--
-- KEYS[1] hold on the number
-- ARGV[1] raw id
--
-- Returns: 1 when that id held it.

if redis.call('GETRANGE', KEYS[1], 0, 21) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
