#!lua flags=allow-oom
-- Enters a backend into the index of announcements and drops the entries that have run out.
--
-- KEYS[1]  stickshift:backends, a sorted set: backend ID by the time its announcement runs out, ms since 1970
-- ARGV[1]  backend ID
-- ARGV[2]  time to live, ms
--
-- Reply: { 'indexed' }

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
return { 'indexed' }
