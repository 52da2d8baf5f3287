-- Holds a number, or says who holds it.
--
-- KEYS[1] hold on the number
-- ARGV[1] raw id    ARGV[2] ms
--
-- Returns: false when it is held for this id now, else the raw id of who holds it. A hold is never shortened.

local holder = redis.call('GETRANGE', KEYS[1], 0, 21)
if holder == '' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false
end
if holder ~= ARGV[1] then return holder end
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
return false
