#!lua
-- Change of a session's ID: writes the snapshot under the new key and leaves a tombstone under the old one.
--
-- KEYS[1]  record of the old ID
-- KEYS[2]  record of the new ID
-- ARGV[1]  owner
-- ARGV[2]  epoch of the old record; 0 when the caller never committed it
-- ARGV[3]  how long the tombstone stands, ms since 1970
-- ARGV[4]  epoch of the new record
-- ARGV[5]  seq
-- ARGV[6]  idle deadline, ms since 1970
-- ARGV[7]  absolute deadline, ms since 1970, or ''
-- ARGV[8]  sealed snapshot
--
-- Reply: { 'replaced' }
--        { 'fenced', owner, epoch }  one of the records has a newer epoch, another owner, or (the new one) was released
--        { 'stale', seq }            the new record's seq is not smaller
--        { 'ended' }                 a tombstone stands under one of the keys
-- Nothing was written unless the reply is 'replaced'.
--
-- Run twice, the second run answers 'replaced': when the new record is the caller's with this seq or a later one, only
-- the tombstone is due.

local key, successor, owner, epoch, ends_at = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local new_epoch, seq = tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
local record, new = live(key, now), live(successor, now)
local done = new and new.state ~= 'ended' and new.owner == owner and new.epoch >= new_epoch and new.seq >= seq
if record and record.state == 'ended' and not done then
  return { 'ended' }
end
local refusal = end_refusal(record, owner, epoch) or (not done and commit_refusal(new, owner, new_epoch, seq))
if refusal then
  return refusal
end
if not done then
  tell_taken(successor, new, owner)
  store(successor, 'active', owner, ARGV[4], ARGV[5], now, ARGV[6], ARGV[7], ARGV[8])
end
entomb(key, record, owner, epoch, now, ends_at)
return { 'replaced' }
