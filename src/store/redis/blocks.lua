-- Reads blocks of the index of the call log, newest first.
--
-- KEYS[1] starts of the blocks
-- ARGV[1] raw time of the newest row that is wanted, or ''    ARGV[2] raw time of the oldest, or ''
-- ARGV[3] blocks, at most    ARGV[4] what stands before the names of blocks
-- ARGV[5] 'c' where classes are read, else ''    ARGV[6] 'm' where marks are read, else ''
-- ARGV[7] where in a row of marks something stands, from 0    ARGV[8] what must stand there, or ''
--
-- Returns: {name, rows before the first that was read, rows, classes, marks; name, …}. A block in which no row has what
-- must stand there has no rows.

local function ms_of(time)
  return struct.unpack('>I6', time)
end

-- How many rows of a block end before a time.
local function rows_before(key, rows, ms)
  local low, high = 0, rows
  while low < high do
    local middle = math.floor((low + high) / 2)
    local time = redis.call('GETRANGE', key, middle * 6, middle * 6 + 5)
    if ms_of(time) < ms then low = middle + 1 else high = middle end
  end
  return low
end

-- Whether some row of marks has what must stand in it.
local function has(marks, at, needle)
  local from = 1
  while true do
    local found = string.find(marks, needle, from, true)
    if not found then return false end
    if (found - 1) % 8 == at then return true end
    from = found + 1
  end
end

local from = ARGV[1] == '' and '+' or '[' .. ARGV[1]
local oldest = ARGV[2] == '' and 0 or ms_of(ARGV[2])
local at = tonumber(ARGV[7])
local answer = {}
for _, start in ipairs(redis.call('ZRANGE', KEYS[1], from, '-', 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3])) do
  local name = ms_of(start)
  local times = ARGV[4] .. 't:' .. name
  local rows = redis.call('STRLEN', times) / 6
  if rows > 0 and ARGV[1] ~= '' then rows = rows_before(times, rows, ms_of(ARGV[1]) + 1) end
  local first = 0
  if name < oldest then first = rows_before(times, rows, oldest) end
  local classes, marks = '', ''
  if rows > first then
    if ARGV[6] ~= '' then
      marks = redis.call('GETRANGE', ARGV[4] .. 'm:' .. name, first * 8, rows * 8 - 1)
      if ARGV[8] ~= '' and not has(marks, at, ARGV[8]) then marks, rows = '', first end
    end
    if ARGV[5] ~= '' and rows > first then
      classes = redis.call('GETRANGE', ARGV[4] .. 'c:' .. name, first * 5, rows * 5 - 1)
    end
  end
  for _, part in ipairs({ string.format('%d', name), first, rows - first, classes, marks }) do
    answer[#answer + 1] = part
  end
  if name <= oldest then break end
end
return answer
