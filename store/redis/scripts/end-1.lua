#!lua flags=allow-oom
-- Leaves a tombstone in place of a record that the caller owns, or owned last, or that does not exist, or has an older epoch.
--
-- KEYS[1]  record
-- ARGV[1]  owner
-- ARGV[2]  epoch; 0 when the caller never committed the session
-- ARGV[3]  how long the tombstone stands, ms since 1970
-- ARGV[4]  '1' when it has stood before and may have been forgotten: it is written whatever the record says, unless it has
--          run out by this server's clock
--
-- Reply: { 'ended' }
--        { 'fenced', owner, epoch }  the record has a newer epoch or another owner
--
-- Run twice, the second run changes nothing; a standing tombstone is prolonged, never shortened.

local key, owner, epoch, ends_at, stood = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local now = now_ms()
local record = live(key, now)
-- What has begun under the ID since is another session, and the caller's clock is behind.
if stood and tonumber(ends_at) <= now then
  return { 'ended' }
end
local refusal = not stood and end_refusal(record, owner, epoch)
if refusal then
  return refusal
end
entomb(key, record, owner, epoch, now, ends_at)
return { 'ended' }
