-- Reads the records of some rows of the index of the call log, newest first.
--
-- KEYS[1] call log
-- ARGV[1] raw place before which they are wanted, or ''    ARGV[2] records of one moment, at most
-- ARGV[3] records wanted, at most    ARGV[4] what stands before the names of blocks    ARGV[5] how many filters follow
-- ARGV[6] '+' where more rows are wanted after those, else ''
-- ARGV[7..] filters: first byte, last byte, what stands there; then rows: name of the block, place of the row
--
-- Returns: {raw place of the last record looked at, or false when all were; record, record, …}.

local t = redis.call('TIME')
local most, wanted, rows = tonumber(ARGV[2]), tonumber(ARGV[3]), 7 + 3 * tonumber(ARGV[5])
local answer = { false }

local function fits(entry)
  if struct.unpack('>I4', entry, 30) <= tonumber(t[1]) then return false end
  for f = 7, rows - 1, 3 do
    if string.sub(entry, tonumber(ARGV[f]), tonumber(ARGV[f + 1])) ~= ARGV[f + 2] then return false end
  end
  return true
end

local before
for i = rows, #ARGV, 2 do
  local times = ARGV[4] .. 't:' .. ARGV[i]
  local time = redis.call('GETRANGE', times, ARGV[i + 1] * 6, ARGV[i + 1] * 6 + 5)
  if time ~= '' and time ~= before then
    before = time
    local from = '(' .. time .. '\255'
    if string.sub(ARGV[1], 1, 6) == time then from = '(' .. ARGV[1] end
    local entries = redis.call('ZRANGE', KEYS[1], from, '[' .. time, 'BYLEX', 'REV', 'LIMIT', 0, most)
    for _, entry in ipairs(entries) do
      if fits(entry) then answer[#answer + 1] = entry end
    end
    if #entries == most then
      answer[1] = string.sub(entries[most], 1, 29)
      break
    end
    if #answer > wanted then
      answer[1] = time .. string.rep('\0', 23)
      break
    end
  end
end
if not answer[1] and ARGV[6] ~= '' and before then answer[1] = before .. string.rep('\0', 23) end
return answer
