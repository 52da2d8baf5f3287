-- Not an operation: the part that `create` and `commit` share, put in front of their bodies. What most changes do not have
-- comes last in ARGV, since each argument costs about as much as a comparison.
--
-- KEYS: all that the operation touches
-- ARGV: see `follow` below
-- Returns: nothing
--
-- A value is a head of 20 bytes, then what Rust encoded. The head: revision (4), last turn spent (4), mark of the
-- attempt that wrote it (6), deadline in ms (6, 0 for none). Numbers are big-endian.

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Lets a key live for at least `ms` from now on. To read when it ends costs less than to write it each time, which is
-- logged and replicated too: it is written for longer, an hour at most.
local function keep(key, ms)
  ms = tonumber(ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms + math.min(ms, 3600000)) end
end

-- Writes what follows a value, from ARGV[at] to the end, any number of:
--   'e' · outbox · key of the effect · its name · ms until it is due · ms to keep it · its bytes after the first 10
--   'l' · call log · ms to keep the record · place (29 bytes) · the rest of the entry
--   'h' · key of the hold that ends · raw id of who must hold it
local function follow(now, at)
  while ARGV[at] do
    local kind = ARGV[at]
    if kind == 'e' then
      redis.call('SET', ARGV[at + 2], struct.pack('>I4I6', 0, now) .. ARGV[at + 6], 'PX', ARGV[at + 5])
      redis.call('ZADD', ARGV[at + 1], now + ARGV[at + 4], ARGV[at + 3])
      at = at + 7
    elseif kind == 'l' then
      local ms = tonumber(ARGV[at + 2])
      local expiry = struct.pack('>I4', math.ceil((now + ms) / 1000))
      redis.call('ZADD', ARGV[at + 1], 0, ARGV[at + 3] .. expiry .. ARGV[at + 4])
      keep(ARGV[at + 1], ms + 1000)
      -- Now and then, records go that are older than any is kept.
      if now % 16 == 0 then
        local before = '(' .. struct.pack('>I6', math.max(now - ms, 0))
        local old = redis.call('ZRANGE', ARGV[at + 1], '-', before, 'BYLEX', 'LIMIT', 0, 64)
        if #old > 0 then redis.call('ZREM', ARGV[at + 1], unpack(old)) end
      end
      at = at + 5
    else
      if redis.call('GETRANGE', ARGV[at + 1], 0, 21) == ARGV[at + 2] then redis.call('DEL', ARGV[at + 1]) end
      at = at + 3
    end
  end
end
