-- Looks through the call log from newest to oldest.
--
-- KEYS[1] call log
-- ARGV[1] raw place before which to begin, or ''    ARGV[2] raw time at which to end, or ''
-- ARGV[3] entries to look at, at most    ARGV[4] records wanted, at most
-- ARGV[5..] filters: first byte, last byte, what stands there
--
-- Returns: {raw place of the last entry looked at, or false when nothing is left; record, record, …}.

local t = redis.call('TIME')
local from = ARGV[1] == '' and '+' or '(' .. ARGV[1]
local to = ARGV[2] == '' and '-' or '[' .. ARGV[2]
local limit = tonumber(ARGV[3])
local wanted = tonumber(ARGV[4])
local entries = redis.call('ZRANGE', KEYS[1], from, to, 'BYLEX', 'REV', 'LIMIT', 0, limit)
local answer = { false }
for i, entry in ipairs(entries) do
  local fits = struct.unpack('>I4', entry, 30) > tonumber(t[1])
  for f = 5, #ARGV, 3 do
    if not fits then break end
    fits = string.sub(entry, tonumber(ARGV[f]), tonumber(ARGV[f + 1])) == ARGV[f + 2]
  end
  if fits then answer[#answer + 1] = entry end
  if #answer > wanted or i == limit then
    answer[1] = string.sub(entry, 1, 29)
    break
  end
end
return answer
