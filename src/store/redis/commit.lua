-- Writes a change of a verification, or nothing.
--
-- KEYS[1..5] as in write.lua, then the keys of effects
-- ARGV[1] revision it was made from (4 bytes)    ARGV[2] new revision (4 bytes)    ARGV[3] turn it spends (4 bytes), or ''
-- ARGV[4] ms before which it must be written, or ''    ARGV[5] '1' to let the number go
-- ARGV[6..] as in write.lua
--
-- Returns: the time in ms when it is written, -1 for a conflict, -2 for a spent turn, minus the time when it is too late.

local head = redis.call('GETRANGE', KEYS[1], 0, 19)
if #head < 20 then return -1 end
local now = clock()
if string.sub(head, 1, 4) ~= ARGV[1] then
  -- The answer to this very attempt was lost: it was written.
  if string.sub(head, 1, 4) == ARGV[2] and string.sub(head, 9, 14) == string.sub(ARGV[6], 1, 6) then return now end
  return -1
end
local spent = string.sub(head, 5, 8)
if ARGV[3] ~= '' then
  if struct.unpack('>I4', ARGV[3]) <= struct.unpack('>I4', spent) then return -2 end
  spent = ARGV[3]
end
if ARGV[4] ~= '' and now >= tonumber(ARGV[4]) then return -now end

write(now, 6, ARGV[2], spent, string.sub(head, 15, 20))
if ARGV[5] == '1' and redis.call('GETRANGE', KEYS[5], 0, 21) == ARGV[10] then redis.call('DEL', KEYS[5]) end
return now
