#!lua flags=allow-oom
-- Notes what an operator asked for a backend.
--
-- KEYS[1]  stickshift:states:<application>, a hash: backend ID by state, end of its patience (ms since 1970) and revision
-- ARGV[1]  backend ID
-- ARGV[2]  state: ready, drain, maintenance
-- ARGV[3]  patience, ms; 0 for ready
--
-- Reply: { 'set', state, remaining ms, revision }

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local before = redis.call('HGET', KEYS[1], ARGV[1])
local revision = (tonumber(before and string.match(before, ' (%d+)$') or '') or 0) + 1
local ends_at = ARGV[2] == 'ready' and 0 or now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f %.0f', ARGV[2], ends_at, revision))
return { 'set', ARGV[2], ARGV[3], string.format('%.0f', revision) }
