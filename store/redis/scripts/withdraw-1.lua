#!lua flags=allow-oom
-- Takes back an announcement, if it is still the caller's.
--
-- KEYS[1]  stickshift:backend:<application>/<id>
-- ARGV[1]  incarnation
--
-- Reply: { 'withdrawn' }, also when there was nothing to take back

local found = redis.call('GET', KEYS[1])
if found then
  local readable, announced = pcall(cjson.decode, found)
  if readable and type(announced) == 'table' and announced.incarnation == ARGV[1] then
    redis.call('DEL', KEYS[1])
  end
end
return { 'withdrawn' }
