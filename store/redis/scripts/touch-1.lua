#!lua flags=allow-oom
-- Moves the idle deadline of a record that the caller owns.
--
-- KEYS[1]  record
-- ARGV[1]  owner
-- ARGV[2]  epoch
-- ARGV[3]  idle deadline, ms since 1970
--
-- Reply: { 'touched' }
--        { 'fenced', owner, epoch }  the record has a newer epoch, another owner, or was released
--        { 'ended' }                 a tombstone stands
--        { 'absent' }                there is no record, or one of an older epoch
--
-- Run twice, the second run changes nothing.

local key, owner, epoch, idle_at = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local record = live(key, now_ms())
if not record then
  return { 'absent' }
end
if record.state == 'ended' then
  return { 'ended' }
end
if record.epoch < epoch then
  return { 'absent' }
end
if record.state ~= 'active' or not owns(owner, epoch, record) then
  return fenced(record)
end
redis.call('HSET', key, 'i', idle_at)
redis.call('PEXPIREAT', key, whole(expiry(idle_at, record.absolute_at)))
return { 'touched' }
