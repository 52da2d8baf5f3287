-- Writes a new verification and holds its number.
--
-- KEYS[1..5] as in write.lua    KEYS[6] index of the client    KEYS[7] index of the reference, if there is one
-- then the keys of effects
-- ARGV[1] revision (4 bytes)    ARGV[2] turn spent (4 bytes)    ARGV[3] raw id, then the client's name
-- ARGV[4] '1' when there is a reference    ARGV[5] ms to keep index entries    ARGV[6] raw time before which they go
-- ARGV[7..] as in write.lua
--
-- Returns: the time in ms when it is written, -1 when the id is taken, or who holds the number: raw id, then client.

local now = clock()
local found = redis.call('GET', KEYS[1])
if found then
  -- The same value is the same attempt: its seed is random.
  if string.sub(found, 1, 4) == ARGV[1] and string.sub(found, 15) == string.sub(ARGV[7], 7) then return now end
  return -1
end
local holder = redis.call('GET', KEYS[5])
if holder and string.sub(holder, 1, 22) ~= string.sub(ARGV[3], 1, 22) then return holder end

write(now, 7, ARGV[1], ARGV[2], '\0\0\0\0\0\0')
redis.call('SET', KEYS[5], ARGV[3], 'PX', ARGV[8])
for i = 6, 6 + ARGV[4] do
  redis.call('ZADD', KEYS[i], 0, ARGV[11])
  redis.call('PEXPIRE', KEYS[i], ARGV[5])
  local old = redis.call('ZRANGE', KEYS[i], '-', '(' .. ARGV[6], 'BYLEX', 'LIMIT', 0, 4)
  if #old > 0 then redis.call('ZREM', KEYS[i], unpack(old)) end
end
return now
