#!lua flags=allow-oom
-- Tells a process whose store this is, and whether it is settling; lets it settle when it may have lost writes.
--
-- KEYS[1]  stickshift:lineage, a hash:
--            f  fingerprint of the installation
--            t  token: changes whenever the data set may have lost writes
--            k  identities of the servers that had this data set, the latest last, with spaces between
--            u  until when it is settling, ms since 1970 by this server's clock
--            a  when u was written, by the same clock
-- ARGV[1]  fingerprint of the caller's installation
-- ARGV[2]  how long the caller would have it settle, ms; 0: it takes no part in this
-- ARGV[3]  token that the caller knows, '' before it has seen one
-- ARGV[4]  another token, never used before
-- ARGV[5]… identities of the servers that the caller is connected to
--
-- Reply: { 'introduced', token, ms of settling left }
--        { 'foreign', fingerprint }  the store is another installation's; nothing was written
--
-- It settles when a server is not known here (restarted, promoted), when this key is gone although the caller knew it
-- (emptied), and when the caller knew another token: it learns only now that writes of its own may be lost.

-- More than a cluster has primaries; the oldest are dropped.
local MOST_IDENTITIES = 200

local key, installation, settle, known, fresh = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local f = redis.call('HMGET', key, 'f', 't', 'k', 'u', 'a')
if f[1] and f[1] ~= installation then
  return { 'foreign', f[1] }
end
if not f[1] then
  redis.call('HSET', key, 'f', installation)
end
if settle == 0 then
  return { 'introduced', '', '0' }
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ends_at, set_at = tonumber(f[4] or '') or 0, tonumber(f[5] or '') or 0
-- A server whose clock was set back must not settle for as long.
local left = math.max(0, ends_at - math.max(now, set_at))

local token, identities, has = f[2], {}, {}
for identity in string.gmatch(f[3] or '', '%S+') do
  identities[#identities + 1] = identity
  has[identity] = true
end
local unknown = false
for index = 5, #ARGV do
  if not has[ARGV[index]] then
    unknown = true
    identities[#identities + 1] = ARGV[index]
  end
end

local lost = known ~= '' and known ~= token
if not token then
  token = fresh
elseif unknown then
  token, lost = fresh, true
end
if unknown or token == fresh then
  local first = math.max(1, #identities - MOST_IDENTITIES + 1)
  redis.call('HSET', key, 't', token, 'k', table.concat(identities, ' ', first))
end
if lost then
  left = math.max(left, settle)
  redis.call('HSET', key, 'u', string.format('%.0f', now + left), 'a', string.format('%.0f', now))
end
return { 'introduced', token, string.format('%.0f', left) }
