-- Reads the bars of the guard, those that end first before the others.
--
-- KEYS[1] index of all bars
-- ARGV[1] at most so many
-- Returns: {key, what is kept, key, what is kept, …}. Keys without anything are dropped.

local answer = {}
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)) do
  local bar = redis.call('GET', key)
  if bar then
    answer[#answer + 1] = key
    answer[#answer + 1] = bar
  else
    redis.call('ZREM', KEYS[1], key)
  end
end
return answer
