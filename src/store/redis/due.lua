-- Finds verifications whose deadline has come.
--
-- KEYS[1] deadlines
-- ARGV[1] at most so many    ARGV[2] what stands before a bare id in the key of a value
--
-- Returns: {time in ms, a time not after the earliest deadline that is left or 0, id, deadline, id, deadline, …}.
-- Where the index told a deadline too early, or of a value that is gone, it is put right.

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit = tonumber(ARGV[1])
local found = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, limit + 1)
local answer = { now, 0 }
for i = 1, math.min(#found, limit) do
  local deadline = redis.call('GETRANGE', ARGV[2] .. found[i], 14, 19)
  deadline = #deadline == 6 and struct.unpack('>I6', deadline) or 0
  if deadline == 0 then
    redis.call('ZREM', KEYS[1], found[i])
  elseif deadline > now then
    redis.call('ZADD', KEYS[1], deadline, found[i])
  else
    answer[#answer + 1] = found[i]
    answer[#answer + 1] = deadline
  end
end
local next
if #found > limit then
  next = redis.call('ZSCORE', KEYS[1], found[limit + 1])
else
  next = redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
end
if next then answer[2] = tonumber(next) end
return answer
