#!lua flags=no-writes
-- What operators asked for the backends of an application.
--
-- KEYS[1]  stickshift:states:<application>
--
-- Reply: { 'states', now (ms since 1970), ID, state, ID, state, ... }, each state as set-backend-state-1.lua writes it

local time = redis.call('TIME')
local reply = { 'states', string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) }
for _, each in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = each
end
return reply
