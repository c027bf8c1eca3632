#!lua flags=allow-oom
-- Leaves a tombstone in place of a record that the caller owns, or owned last, or that does not exist.
--
-- KEYS[1]  record
-- ARGV[1]  owner
-- ARGV[2]  epoch; 0 when the caller never committed the session
-- ARGV[3]  how long the tombstone stands, ms since 1970
--
-- Reply: { 'ended' }
--        { 'fenced', owner, epoch }  the record has another owner or, unless the caller's is 0, another epoch
--
-- Run twice, the second run changes nothing; a standing tombstone is prolonged, never shortened.

local key, owner, epoch, ends_at = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
local record = live(key, now)
if not record then
  store(key, 'ended', owner, ARGV[2], '0', now, ends_at, '')
elseif record.state == 'ended' then
  if tonumber(ends_at) > tonumber(record.idle_at) then
    redis.call('HSET', key, 'i', ends_at)
    redis.call('PEXPIREAT', key, ends_at)
  end
elseif record.owner ~= owner or (epoch ~= 0 and record.epoch ~= epoch) then
  return fenced(record)
else
  store(key, 'ended', owner, whole(record.epoch), whole(record.seq), now, ends_at, '')
end
return { 'ended' }
