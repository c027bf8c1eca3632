#!lua flags=no-writes
-- Reads a record with its snapshot.
--
-- KEYS[1]  record
--
-- Reply: { 'found', summary, snapshot } or { 'absent' }; the snapshot of a tombstone is empty

local now = now_ms()
local record = live(KEYS[1], now)
if not record then
  return { 'absent' }
end
local reply = summary('found', KEYS[1], record, now)
reply[#reply + 1] = redis.call('HGET', KEYS[1], 'd') or ''
return reply
