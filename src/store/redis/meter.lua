-- Not an operation: the step of the guard, as `src/guard/step.rs` has it, to be put in front of the bodies of operations.
-- It looks at bars, runs and meters, and counts when nothing stands against it. It knows no limit.
--
-- KEYS: none of what it touches: in a cluster it runs in operations of its own, elsewhere nobody needs them
-- ARGV: see `take` and `set_right` below
-- Returns: nothing

-- Times and amounts of a meter, oldest first.
local function entries(kept)
  local times, amounts = {}, {}
  local count = kept and math.floor(#kept / 12) or 0
  if count > 0 then
    -- One call for all of them costs a fraction of one call each.
    local all = { struct.unpack('>' .. string.rep('I6', 2 * count), kept) }
    for i = 1, count do times[i], amounts[i] = all[2 * i - 1], all[2 * i] end
  end
  return times, amounts
end

local function write_entries(key, times, amounts, now, span)
  local count = #times
  local left = count > 0 and times[count] + span - now or 0
  if left <= 0 then return redis.call('DEL', key) end
  local all = {}
  for i = 1, count do all[2 * i - 1], all[2 * i] = times[i], amounts[i] end
  redis.call('SET', key, struct.pack('>' .. string.rep('I6', 2 * count), unpack(all)), 'PX', left)
end

local function sum(times, amounts, now, span)
  local total = 0
  for i = 1, #times do
    if times[i] + span > now then total = total + amounts[i] end
  end
  return total
end

-- How long until `cost` fits: 0 when it does, -1 when it never will.
local function wait(times, amounts, now, span, most, cost)
  local room = most - cost
  if room < 0 then return -1 end
  local left = sum(times, amounts, now, span)
  if left <= room then return 0 end
  for i = 1, #times do
    if times[i] + span > now then
      left = left - amounts[i]
      if left <= room then return times[i] + span - now end
    end
  end
  return -1
end

-- Adds to a meter and forgets what is too old.
local function add(key, times, amounts, now, amount, span, grain)
  local t, a = {}, {}
  for i = 1, #times do
    if times[i] + span > now then t[#t + 1], a[#a + 1] = times[i], amounts[i] end
  end
  local last = #t
  if last > 0 and math.floor(t[last] / grain) >= math.floor(now / grain) then
    t[last], a[last] = math.max(now, t[last]), a[last] + amount
  else
    t[last + 1], a[last + 1] = now, amount
  end
  write_entries(key, t, a, now, span)
  return t, a
end

-- Takes everything from ARGV[at] to before ARGV[stop_at], or nothing, any number of:
--   'b' · key of a bar
--   'r' · key of a run · how many at most · ms to keep it · number of pauses · pauses in ms …
--   'm' · key of a meter · cost · 1 when it holds for all · ms since 1970 from when on it does not hold, or 0 · longest window in ms ·
--         grain in ms · number of windows · ms and most of each …
--
-- Returns whether it was taken, and: what each meter holds in each window, one after another; or what stands against it
-- longest: kind, place among its kind (from 0), window (from 0), ms or -1, how much was seen, why.
local function take(now, at, stop_at)
  local worst, allowed, looked = nil, false, false
  local probes, runs, meters = {}, {}, {}
  local places = { b = 0, r = 0, m = 0 }
  local function stop(kind, place, window, ms, seen, why)
    if not worst or (worst[4] >= 0 and (ms < 0 or ms > worst[4])) then worst = { kind, place, window, ms, seen, why } end
  end
  -- Everything is read at once: a call costs more than what it reads.
  local keys, look = {}, at
  while look < stop_at do
    local kind = ARGV[look]
    keys[#keys + 1] = ARGV[look + 1]
    look = look + (kind == 'b' and 2 or kind == 'r' and 5 + ARGV[look + 4] or 8 + 2 * ARGV[look + 7])
  end
  local found = #keys > 0 and redis.call('MGET', unpack(keys)) or {}
  local nth = 0
  while at < stop_at do
    local kind, key = ARGV[at], ARGV[at + 1]
    nth = nth + 1
    local kept = found[nth]
    local place = places[kind]
    places[kind] = place + 1
    if kind == 'b' then
      local bar = not looked and kept
      if bar and #bar >= 18 then
        local ends, next, every = struct.unpack('>I6I6I4', bar, 3)
        if string.sub(bar, 1, 1) == 'a' then
          allowed, looked = true, true
        elseif next > 0 and next <= now then
          probes[#probes + 1] = { key, string.sub(bar, 1, 8) .. struct.pack('>I6', now + every) .. string.sub(bar, 15), ends }
        else
          stop('b', place, 0, math.max((next > 0 and math.min(next, ends) or ends) - now, 0), 0, string.sub(bar, 19))
        end
      end
      at = at + 2
    elseif kind == 'r' then
      local many, until_ = 0, 0
      if kept then many, until_ = struct.unpack('>I4I6', kept) end
      if not allowed then
        if many >= tonumber(ARGV[at + 2]) then
          stop('f', place, 0, -1, many, '')
        elseif until_ > now then
          stop('r', place, 0, until_ - now, many, '')
        end
      end
      local pauses = tonumber(ARGV[at + 4])
      local pause = pauses > 0 and tonumber(ARGV[at + 4 + math.min(many + 1, pauses)]) or 0
      runs[#runs + 1] = { key, many + 1, math.max(until_, now + pause), tonumber(ARGV[at + 3]) }
      at = at + 5 + pauses
    else
      local cost, all, ends = tonumber(ARGV[at + 2]), ARGV[at + 3] == '1', tonumber(ARGV[at + 4])
      local windows = tonumber(ARGV[at + 7])
      local times, amounts = entries(kept)
      if cost > 0 and (all or not allowed) then
        for w = 1, windows do
          local span, most = tonumber(ARGV[at + 6 + 2 * w]), tonumber(ARGV[at + 7 + 2 * w])
          local ms = wait(times, amounts, now, span, most, cost)
          if ends > 0 and (ms < 0 or ms > ends - now) then ms = math.max(ends - now, 0) end
          if ms ~= 0 then stop('m', place, w - 1, ms, sum(times, amounts, now, span), '') end
        end
      end
      meters[#meters + 1] = { at, key, times, amounts }
      at = at + 8 + 2 * windows
    end
  end
  if worst then return false, worst end
  for _, probe in ipairs(probes) do redis.call('SET', probe[1], probe[2], 'PX', math.max(probe[3] - now, 1)) end
  for _, run in ipairs(runs) do
    local ms = math.max(run[4], run[3] - now, 1)
    redis.call('SET', run[1], struct.pack('>I4I6', run[2], run[3]), 'PX', ms)
  end
  local seen = {}
  for _, meter in ipairs(meters) do
    local m, key, times, amounts = meter[1], meter[2], meter[3], meter[4]
    local cost = tonumber(ARGV[m + 2])
    if cost > 0 then
      times, amounts = add(key, times, amounts, now, cost, tonumber(ARGV[m + 5]), tonumber(ARGV[m + 6]))
    end
    for w = 1, tonumber(ARGV[m + 7]) do
      seen[#seen + 1] = sum(times, amounts, now, tonumber(ARGV[m + 6 + 2 * w]))
    end
  end
  return true, seen
end

-- Sets right what ARGV has from `at` to before `stop_at`, any number of:
--   'g' · key of a meter · its longest window in ms · its grain in ms · how much is taken back · when it was counted, in ms
--   'a' · key of a meter · what is added · its longest window in ms · its grain in ms
--   'c' · key that is cleared
--   'f' · key of a run · by how many it grows · ms to keep it
--   'l' · key of a bar that is lifted, unless an operator set it
--   'u' · key of a bar that is set · index of all bars · sense and whether an operator sets it · ms it holds
--       · ms until it lets one through, or -1 · how often then in ms · why
local function set_right(now, at, stop_at)
  while at < stop_at do
    local kind, key = ARGV[at], ARGV[at + 1]
    if kind == 'g' then
      local grain, left = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
      local last = math.floor(tonumber(ARGV[at + 5]) / grain)
      local times, amounts = entries(redis.call('GET', key))
      for i = #times, 1, -1 do
        if left > 0 and math.floor(times[i] / grain) <= last then
          local taken = math.min(left, amounts[i])
          amounts[i], left = amounts[i] - taken, left - taken
        end
      end
      local t, a = {}, {}
      for i = 1, #times do
        if amounts[i] > 0 then t[#t + 1], a[#a + 1] = times[i], amounts[i] end
      end
      write_entries(key, t, a, now, tonumber(ARGV[at + 2]))
      at = at + 6
    elseif kind == 'a' then
      local times, amounts = entries(redis.call('GET', key))
      add(key, times, amounts, now, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
      at = at + 5
    elseif kind == 'c' then
      redis.call('DEL', key)
      at = at + 2
    elseif kind == 'f' then
      local kept = redis.call('GET', key)
      local many, until_ = 0, 0
      if kept then many, until_ = struct.unpack('>I4I6', kept) end
      local ms = math.max(tonumber(ARGV[at + 3]), until_ - now, 1)
      redis.call('SET', key, struct.pack('>I4I6', many + tonumber(ARGV[at + 2]), until_), 'PX', ms)
      at = at + 4
    elseif kind == 'l' then
      local bar = redis.call('GET', key)
      if bar and string.sub(bar, 2, 2) ~= 'p' then redis.call('DEL', key) end
      at = at + 2
    else
      local bar, sense = redis.call('GET', key), ARGV[at + 3]
      if string.sub(sense, 2, 2) == 'p' or not (bar and string.sub(bar, 2, 2) == 'p') then
        local holds, first = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
        local times = struct.pack('>I6I6I4', now + holds, first < 0 and 0 or now + first, tonumber(ARGV[at + 6]))
        redis.call('SET', key, sense .. times .. ARGV[at + 7], 'PX', math.max(holds, 1))
        redis.call('ZADD', ARGV[at + 2], now + holds, key)
        if redis.call('PTTL', ARGV[at + 2]) < holds then redis.call('PEXPIRE', ARGV[at + 2], holds) end
      end
      at = at + 8
    end
  end
end
