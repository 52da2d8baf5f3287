-- Takes records out of the call log, and what the index knows of their numbers.
--
-- KEYS[1] call log    KEYS[2] starts of the blocks of its index
-- ARGV[1] what stands before the names of blocks    ARGV[2..] place (29 bytes), class and marks of the row (13 bytes)
--
-- Returns: how many records were there.

local function ms_of(time)
  return struct.unpack('>I6', time)
end

-- Writes over the marks of a row. Rows of the same moment stand side by side.
local function blank(time, class, marks)
  local start = redis.call('ZRANGE', KEYS[2], '[' .. time, '-', 'BYLEX', 'REV', 'LIMIT', 0, 1)[1]
  if not start then return end
  local name = ms_of(start)
  local all = redis.call('GETRANGE', ARGV[1] .. 't:' .. name, 0, -1)
  local low, high = 0, #all / 6
  while low < high do
    local middle = math.floor((low + high) / 2)
    if ms_of(string.sub(all, middle * 6 + 1)) < ms_of(time) then low = middle + 1 else high = middle end
  end
  while string.sub(all, low * 6 + 1, low * 6 + 6) == time do
    local same = redis.call('GETRANGE', ARGV[1] .. 'c:' .. name, low * 5, low * 5 + 4) == class
      and redis.call('GETRANGE', ARGV[1] .. 'm:' .. name, low * 8, low * 8 + 7) == marks
    if same then
      redis.call('SETRANGE', ARGV[1] .. 'm:' .. name, low * 8, string.rep('\255', 8))
      return
    end
    low = low + 1
  end
end

local erased = 0
for i = 2, #ARGV, 2 do
  local place, row = ARGV[i], ARGV[i + 1]
  local entry = redis.call('ZRANGE', KEYS[1], '[' .. place, '[' .. place .. '\255', 'BYLEX', 'LIMIT', 0, 1)[1]
  if entry then
    erased = erased + redis.call('ZREM', KEYS[1], entry)
    blank(string.sub(place, 1, 6), string.sub(row, 1, 5), string.sub(row, 6))
  end
end
return erased
