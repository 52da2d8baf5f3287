-- Finds verifications whose deadline has come.
--
-- KEYS: deadlines, of one partition or of several
-- ARGV[1] at most so many of each partition    ARGV[2..] what stands before a bare id in the keys of their values
--
-- Returns: {time in ms, a time not after the earliest deadline that is left or 0, id, deadline, id, deadline, …}.
-- Where the index told a deadline too early, or of a value that is gone, it is put right.

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit = tonumber(ARGV[1])
local answer = { now, 0 }

-- Adds what is due of one partition to the answer. Returns the earliest time that is left there.
local function look(key, values)
  local found = redis.call('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit + 1)
  for i = 1, math.min(#found, limit) do
    local deadline = redis.call('GETRANGE', values .. found[i], 14, 19)
    deadline = #deadline == 6 and struct.unpack('>I6', deadline) or 0
    if deadline == 0 then
      redis.call('ZREM', key, found[i])
    elseif deadline > now then
      redis.call('ZADD', key, deadline, found[i])
    else
      answer[#answer + 1] = found[i]
      answer[#answer + 1] = deadline
    end
  end
  if #found > limit then return redis.call('ZSCORE', key, found[limit + 1]) end
  return redis.call('ZRANGE', key, '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
end

for k = 1, #KEYS do
  local next = redis.call('ZRANGE', KEYS[k], 0, 0, 'WITHSCORES')[2]
  if next and tonumber(next) <= now then next = look(KEYS[k], ARGV[1 + k]) end
  next = tonumber(next or 0)
  if next > 0 and (answer[2] == 0 or next < answer[2]) then answer[2] = next end
end
return answer
