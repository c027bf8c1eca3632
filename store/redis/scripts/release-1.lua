#!lua flags=allow-oom
-- Gives a record up, with a final commit when one is due.
--
-- KEYS[1]  record
-- ARGV[1]  owner
-- ARGV[2]  epoch
-- With a final commit also:
-- ARGV[3]  seq
-- ARGV[4]  idle deadline, ms since 1970
-- ARGV[5]  absolute deadline, ms since 1970, or ''
-- ARGV[6]  sealed snapshot
--
-- Reply: { 'released' }
--        { 'fenced', owner, epoch }  the record has a newer epoch, another owner, or was released with an
--                                    older seq
--        { 'stale', seq }            the record is the caller's, but its seq is not smaller than the final one; it
--                                    stays active
--        { 'ended' }                 a tombstone stands
--        { 'absent' }                there is no record, or one of an older epoch, and no final commit to
--                                    make one
--
-- Run twice, the second run answers 'released' again.

local key, owner, epoch, final_seq = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3] or '')
local now = now_ms()
local record = live(key, now)
if record and record.state == 'ended' then
  return { 'ended' }
end
if not record or record.epoch < epoch then
  if not final_seq then
    return { 'absent' }
  end
else
  if not owns(owner, epoch, record) then
    return fenced(record)
  end
  if record.state == 'released' then
    if final_seq and final_seq > record.seq then
      return fenced(record)
    end
    return { 'released' }
  end
  if final_seq and final_seq <= record.seq then
    return { 'stale', whole(record.seq) }
  end
end
if final_seq then
  tell_taken(key, record, owner)
  store(key, 'released', owner, ARGV[2], ARGV[3], now, ARGV[4], ARGV[5], ARGV[6])
else
  redis.call('HSET', key, 's', 'released')
end
return { 'released' }
