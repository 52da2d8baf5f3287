-- Writes a change of a verification, or nothing.
--
-- KEYS[1] the value    KEYS[2] deadlines    then those of what follows
-- ARGV[1] revision it was made from (4 bytes)    ARGV[2] the new value with its head    ARGV[3] ms to keep it
-- ARGV[4] bare id    ARGV[5] deadline in ms, or ''    ARGV[6] ms before which it must be written, or ''
-- ARGV[7] turn it spends, or ''    ARGV[8] how many arguments the guard has
-- ARGV[9..] those, as in `take` of meter.lua, then what follows, as in write.lua
--
-- Returns: the time in ms when it is written, -1 for a conflict, -2 for a spent turn, minus the time when it is too late,
-- {0, what stands against it} when the guard refuses.

local head = redis.call('GETRANGE', KEYS[1], 0, 19)
if #head < 20 then return -1 end
local now = clock()
local value = ARGV[2]
local revision = string.sub(head, 1, 4)
if revision ~= ARGV[1] then
  -- The answer to this very attempt was lost: it was written.
  local ours = revision == string.sub(value, 1, 4) and string.sub(head, 9, 14) == string.sub(value, 9, 14)
  return ours and now or -1
end
local spent = string.sub(head, 5, 8)
if ARGV[7] ~= '' then
  if tonumber(ARGV[7]) <= struct.unpack('>I4', spent) then return -2 end
elseif spent ~= '\0\0\0\0' then
  value = string.sub(value, 1, 4) .. spent .. string.sub(value, 9)
end
if ARGV[6] ~= '' and now >= tonumber(ARGV[6]) then return -now end
local after = 9 + ARGV[8]
if after > 9 then
  local taken, what = take(now, 9, after)
  if not taken then return { 0, what } end
end

redis.call('SET', KEYS[1], value, 'PX', ARGV[3])
-- The index may tell a deadline too early, never too late: `due` looks at the head again. Most deadlines move to later
-- and are gone before they come, so that saves most writes.
local old = struct.unpack('>I6', head, 15)
if ARGV[5] == '' then
  if old > 0 then redis.call('ZREM', KEYS[2], ARGV[4]) end
elseif old == 0 or tonumber(ARGV[5]) < old then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4])
end
redis.call('PUBLISH', 'rp1:changes:' .. ARGV[4], '')
follow(now, after)
return now
