-- Writes a new verification and holds its number.
--
-- KEYS[1] the value    KEYS[2] deadlines    KEYS[3] hold on the number    KEYS[4] index of the client
-- KEYS[5] index of the reference, or the same as KEYS[4]    then those of what follows
-- ARGV[1] the value with its head    ARGV[2] ms to keep it    ARGV[3] bare id    ARGV[4] raw id, then the client's name
-- ARGV[5] deadline in ms, or ''    ARGV[6] ms to keep index entries    ARGV[7] raw time before which they go
-- ARGV[8] how many arguments the guard has    ARGV[9..] those, as in `take` of meter.lua, then what follows, as in write.lua
--
-- Returns: the time in ms when it is written, -1 when the id is taken, or who holds the number: raw id, then client.
-- Where the guard has arguments: {1, the time in ms, what each meter holds} when it is written and taken, {0, what stands
-- against it} when nothing is written.

local now = clock()
local found = redis.call('GET', KEYS[1])
if found then
  -- The same value, whatever its mark, is the same attempt: its seed is random.
  local same = string.sub(found, 1, 8) == string.sub(ARGV[1], 1, 8) and string.sub(found, 15) == string.sub(ARGV[1], 15)
  return same and now or -1
end
local id = string.sub(ARGV[4], 1, 22)
local holder = redis.call('GET', KEYS[3])
if holder and string.sub(holder, 1, 22) ~= id then return holder end
local after, seen = 9 + ARGV[8], nil
if after > 9 then
  local taken, what = take(now, 9, after)
  if not taken then return { 0, what } end
  seen = what
end

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[2])
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[2], ARGV[5], ARGV[3]) end
for i = 4, KEYS[5] == KEYS[4] and 4 or 5 do
  redis.call('ZADD', KEYS[i], 0, id)
  keep(KEYS[i], ARGV[6])
  -- Now and then, entries go that are older than anything they can point at.
  if now % 16 == 0 then
    local old = redis.call('ZRANGE', KEYS[i], '-', '(' .. ARGV[7], 'BYLEX', 'LIMIT', 0, 64)
    if #old > 0 then redis.call('ZREM', KEYS[i], unpack(old)) end
  end
end
redis.call('PUBLISH', 'rp1:changes:' .. ARGV[3], '')
follow(now, after)
if seen then return { 1, now, seen } end
return now
