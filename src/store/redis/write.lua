-- Not an operation: the part that `create` and `commit` share, put in front of their bodies. What most changes do not have
-- comes last in ARGV, since each argument costs about as much as a comparison.
--
-- KEYS: all that the operation touches
-- ARGV: see `follow` below
-- Returns: nothing
--
-- A value is a head of 20 bytes, then what Rust encoded. The head: revision (4), last turn spent (4), mark of the
-- attempt that wrote it (6), deadline in ms (6, 0 for none). Numbers are big-endian.

-- Lets a key live for at least `ms` from now on. To read when it ends costs less than to write it each time, which is
-- logged and replicated too: it is written for longer, an hour at most.
-- Says whether it was written.
local function keep(key, ms)
  ms = tonumber(ms)
  if redis.call('PTTL', key) >= ms then return false end
  redis.call('PEXPIRE', key, ms + math.min(ms, 3600000))
  return true
end

-- The index of the call log: blocks of rows by the end of the call, in three strings each that grow together: times (6
-- bytes a row), classes (5), marks (8). Rows per block: Redis doubles a string that grows, and that is just full then.
local WIDTHS = { t = 6, c = 5, m = 8 }
local ROWS = 6142

local function ms_of(time)
  return struct.unpack('>I6', time)
end

-- Adds a row to its block. `renew` says that what the block lives by has to be written again. Records from before there
-- was an index stand before its first block, and are looked for in the log itself.
local function add_row(log, index, blocks, ms, time, row, renew)
  local start = redis.call('ZRANGE', index, '[' .. time, '-', 'BYLEX', 'REV', 'LIMIT', 0, 1)[1]
  if not start then
    if redis.call('EXISTS', index) == 1 then return end
    local alone = #redis.call('ZRANGE', log, 0, 1) == 1
    start = alone and '\0\0\0\0\0\0' or time
    redis.call('ZADD', index, 0, start)
    renew = true
  end
  local name = ms_of(start)
  local times = blocks .. 't:' .. name
  local last = redis.call('GETRANGE', times, -6, -1)
  if last == '' or ms_of(last) <= ms_of(time) then
    local length = redis.call('APPEND', times, time)
    redis.call('APPEND', blocks .. 'c:' .. name, row.c)
    redis.call('APPEND', blocks .. 'm:' .. name, row.m)
    renew = renew or length == 6
    -- Late ones may have made it longer.
    if length >= ROWS * 6 then
      redis.call('ZADD', index, 0, struct.pack('>I6', ms_of(time) + 1))
      for _, old in ipairs(redis.call('ZRANGE', index, 0, 7)) do
        if redis.call('EXISTS', blocks .. 't:' .. ms_of(old)) == 0 and ms_of(old) < ms_of(time) then
          redis.call('ZREM', index, old)
        end
      end
    end
  else
    -- It comes late: into its place.
    local all = redis.call('GETRANGE', times, 0, -1)
    local low, high = 0, #all / 6
    while low < high do
      local middle = math.floor((low + high) / 2)
      if ms_of(string.sub(all, middle * 6 + 1)) <= ms_of(time) then low = middle + 1 else high = middle end
    end
    for kind, width in pairs(WIDTHS) do
      local key = blocks .. kind .. ':' .. name
      redis.call('SETRANGE', key, low * width, row[kind] .. redis.call('GETRANGE', key, low * width, -1))
    end
    renew = true
  end
  if renew then
    for kind in pairs(WIDTHS) do
      redis.call('PEXPIRE', blocks .. kind .. ':' .. name, ms + math.min(ms, 3600000))
    end
    redis.call('PEXPIRE', index, ms + math.min(ms, 3600000))
  end
end

-- Counts one more of a kind, or of the rest where there are `most` kinds already. The first kind makes the key, so only a
-- new kind needs to look at when it ends.
local function count(key, ms, most, kind, rest)
  if tonumber(redis.call('ZADD', key, 'INCR', 1, kind)) > 1 then return end
  if redis.call('ZCOUNT', key, '-inf', '+inf') > most then
    redis.call('ZREM', key, kind)
    redis.call('ZADD', key, 'INCR', 1, rest)
  end
  keep(key, ms)
end

-- Writes what follows a value, from ARGV[at] to the end, any number of:
--   'e' · outbox · key of the effect · its name · ms until it is due · ms to keep it · its bytes after the first 10
--   'l' · call log · ms to keep the record · place (29 bytes) · the rest of the entry · starts of the blocks of its index
--       · what stands before the names of those · class and marks of the row
--   't' · tallies of the minute · of the hour · ms to keep each · most kinds · kind · kind of the rest
--       · how many kinds there may be for one more prefix · prefix · prefix of the rest
--   's' · how many of them · what the guard sets right, as in `set_right` of meter.lua …
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
      local time, row = string.sub(ARGV[at + 3], 1, 6), ARGV[at + 7]
      row = { t = time, c = string.sub(row, 1, WIDTHS.c), m = string.sub(row, WIDTHS.c + 1) }
      redis.call('ZADD', ARGV[at + 1], 0, ARGV[at + 3] .. expiry .. ARGV[at + 4])
      local renew = keep(ARGV[at + 1], ms + 1000)
      add_row(ARGV[at + 1], ARGV[at + 5], ARGV[at + 6], ms + 1000, time, row, renew)
      -- Now and then, records go that are older than any is kept.
      if now % 16 == 0 then
        local before = '(' .. struct.pack('>I6', math.max(now - ms, 0))
        local old = redis.call('ZRANGE', ARGV[at + 1], '-', before, 'BYLEX', 'LIMIT', 0, 64)
        if #old > 0 then redis.call('ZREM', ARGV[at + 1], unpack(old)) end
      end
      at = at + 8
    elseif kind == 't' then
      local minute, hour, most = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 5])
      count(minute, ARGV[at + 3], most, ARGV[at + 6], ARGV[at + 7])
      count(hour, ARGV[at + 4], most, ARGV[at + 6], ARGV[at + 7])
      count(hour, ARGV[at + 4], tonumber(ARGV[at + 8]), ARGV[at + 9], ARGV[at + 10])
      at = at + 11
    elseif kind == 's' then
      local stop_at = at + 2 + tonumber(ARGV[at + 1])
      set_right(now, at + 2, stop_at)
      at = stop_at
    else
      if redis.call('GETRANGE', ARGV[at + 1], 0, 21) == ARGV[at + 2] then redis.call('DEL', ARGV[at + 1]) end
      at = at + 3
    end
  end
end
