#!lua flags=allow-oom
-- Lets the store settle until at least some time from now.
--
-- KEYS[1]  stickshift:lineage, see introduce-1.lua
-- ARGV[1]  for how long, ms
--
-- Reply: { 'prolonged' }

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local f = redis.call('HMGET', KEYS[1], 'u', 'a')
local left = math.max(tonumber(ARGV[1]), (tonumber(f[1] or '') or 0) - math.max(now, tonumber(f[2] or '') or 0))
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', now + left), 'a', string.format('%.0f', now))
return { 'prolonged' }
