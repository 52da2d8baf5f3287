-- Not an operation: the part that `create` and `commit` share, put in front of their bodies.
--
-- KEYS[1] the value    KEYS[2] deadlines    KEYS[3] outbox    KEYS[4] call log    KEYS[5] hold on the number
-- ARGV: see `write` below
-- Returns: nothing
--
-- A value is a head of 20 bytes, then what Rust encoded. The head: revision (4), last turn spent (4), mark of the
-- attempt that wrote it (6), deadline in ms (6, 0 for none). Numbers are big-endian.

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Writes all of a change. From ARGV[first] on:
--   value after its first 8 bytes · ms to keep it · deadline in ms, 0 for none · bare id · raw id · ms to keep records
--   · ms to keep effects · number of effects · number of records
--   · for each effect: its name · its key · ms until it is due · its bytes after the first 10
--   · for each record: its member
local function write(now, first, revision, spent, old_deadline)
  local deadline = ARGV[first + 2]
  redis.call('SET', KEYS[1], revision .. spent .. ARGV[first], 'PX', ARGV[first + 1])
  if deadline == '0' then
    if old_deadline ~= '\0\0\0\0\0\0' then redis.call('ZREM', KEYS[2], ARGV[first + 3]) end
  elseif old_deadline ~= string.sub(ARGV[first], 7, 12) then
    redis.call('ZADD', KEYS[2], deadline, ARGV[first + 3])
  end
  local at = first + 9
  local since = struct.pack('>I4I6', 0, now)
  for _ = 1, tonumber(ARGV[first + 7]) do
    redis.call('SET', ARGV[at + 1], since .. ARGV[at + 3], 'PX', ARGV[first + 6])
    redis.call('ZADD', KEYS[3], now + ARGV[at + 2], ARGV[at])
    at = at + 4
  end
  local records = tonumber(ARGV[first + 8])
  if records > 0 then
    local keep = tonumber(ARGV[first + 5])
    local expiry = struct.pack('>I4', math.ceil((now + keep) / 1000))
    for _ = 1, records do
      redis.call('ZADD', KEYS[4], 0, string.sub(ARGV[at], 1, 29) .. expiry .. string.sub(ARGV[at], 30))
      at = at + 1
    end
    redis.call('PEXPIRE', KEYS[4], keep + 1000)
    -- Records that are older than any is kept go, a few at a time.
    local old = redis.call('ZRANGE', KEYS[4], '-', '(' .. struct.pack('>I6', math.max(now - keep, 0)), 'BYLEX', 'LIMIT', 0, 8)
    if #old > 0 then redis.call('ZREM', KEYS[4], unpack(old)) end
  end
  redis.call('PUBLISH', 'rp1:changes', ARGV[first + 4])
end
