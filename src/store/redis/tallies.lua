-- Reads tallies.
--
-- KEYS: spans, of one partition
-- ARGV: none
--
-- Returns: for each span {kind, how many, kind, how many, …}.

local answer = {}
for i = 1, #KEYS do
  answer[i] = redis.call('ZRANGE', KEYS[i], 0, -1, 'WITHSCORES')
end
return answer
