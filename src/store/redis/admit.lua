-- Takes what the guard asks for, or nothing.
--
-- KEYS: one of the guard, for the slot
-- ARGV: as in `take` of meter.lua
-- Returns: {1, the time in ms, what each meter holds}, or {0, what stands against it}, as in `take` of meter.lua.

local now = clock()
local taken, what = take(now, 1, #ARGV + 1)
if taken then return { 1, now, what } end
return { 0, what }
