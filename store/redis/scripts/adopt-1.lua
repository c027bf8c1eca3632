#!lua flags=allow-oom
-- Makes the caller the owner with the next epoch, if the record still has the epoch that the caller saw.
--
-- KEYS[1]  record
-- ARGV[1]  new owner
-- ARGV[2]  epoch that the caller saw
--
-- Reply: { 'adopted', summary, snapshot, taken }  the summary has the new owner and epoch; taken is '1' when the record
--                                                 was active and another's, otherwise '0'
--        { 'moved', summary }                     the record has another epoch
--        { 'ended' }                              a tombstone stands
--        { 'absent' }
--
-- Run twice, the second run answers 'moved' with the caller as owner and the epoch after ARGV[2].

local key, owner, if_epoch = KEYS[1], ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local record = live(key, now)
if not record then
  return { 'absent' }
end
if record.state == 'ended' then
  return { 'ended' }
end
if record.epoch ~= if_epoch then
  return summary('moved', key, record, now)
end
local taken = tell_taken(key, record, owner)
record.state, record.owner, record.epoch = 'active', owner, record.epoch + 1
redis.call('HSET', key, 's', record.state, 'o', record.owner, 'e', whole(record.epoch))
local reply = summary('adopted', key, record, now)
reply[#reply + 1] = redis.call('HGET', key, 'd') or ''
reply[#reply + 1] = taken and '1' or '0'
return reply
