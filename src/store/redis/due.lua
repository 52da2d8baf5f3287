-- Finds verifications whose deadline has come.
--
-- KEYS[1] deadlines
-- ARGV[1] at most so many    ARGV[2] what stands before a bare id in the key of a value
--
-- Returns: {time in ms, earliest deadline after those or 0, id, deadline, id, deadline, …}. Ids without a value are dropped.

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit = tonumber(ARGV[1])
local found = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, limit + 1, 'WITHSCORES')
local answer = { now, 0 }
local gone = {}
for i = 1, #found, 2 do
  if i > limit * 2 then
    answer[2] = tonumber(found[i + 1])
  elseif redis.call('EXISTS', ARGV[2] .. found[i]) == 1 then
    answer[#answer + 1] = found[i]
    answer[#answer + 1] = tonumber(found[i + 1])
  else
    gone[#gone + 1] = found[i]
  end
end
if answer[2] == 0 then
  local next = redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if next[2] then answer[2] = tonumber(next[2]) end
end
for _, id in ipairs(gone) do redis.call('ZREM', KEYS[1], id) end
return answer
