#!lua
-- Writes a snapshot if the caller owns the record and the snapshot is newer; creates an absent record, and replaces one
-- of an older epoch.
--
-- KEYS[1]  record
-- ARGV[1]  owner
-- ARGV[2]  epoch
-- ARGV[3]  seq
-- ARGV[4]  idle deadline, ms since 1970
-- ARGV[5]  absolute deadline, ms since 1970, or ''
-- ARGV[6]  sealed snapshot
--
-- Reply: { 'committed' }
--        { 'fenced', owner, epoch }  the record has a newer epoch, another owner, or was released
--        { 'stale', seq }            the record's seq is not smaller
--        { 'ended' }                 a tombstone stands
--
-- Run twice, the second run answers 'stale' with the seq it was given. Like 'replace', a full server refuses it:
-- it has no flag allow-oom.

local key, owner, epoch, seq = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local record = live(key, now)
local refusal = commit_refusal(record, owner, epoch, seq)
if refusal then
  return refusal
end
tell_taken(key, record, owner)
store(key, 'active', owner, ARGV[2], ARGV[3], now, ARGV[4], ARGV[5], ARGV[6])
return { 'committed' }
