#!lua flags=no-writes
-- Tells about a record without its snapshot.
--
-- KEYS[1]  record
--
-- Reply: { 'found', summary } or { 'absent' }

local now = now_ms()
local record = live(KEYS[1], now)
if not record then
  return { 'absent' }
end
return summary('found', KEYS[1], record, now)
