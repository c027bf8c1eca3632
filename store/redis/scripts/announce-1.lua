#!lua flags=allow-oom
-- Announces a backend, unless another living agent announces one of the same name.
--
-- KEYS[1]  stickshift:backend:<application>/<id>
-- ARGV[1]  announcement, JSON
-- ARGV[2]  time to live, ms
-- ARGV[3]  incarnation in it
-- ARGV[4]  URL of the agent in it
--
-- Reply: { 'announced' }
--        { 'claimed', announcement }  another incarnation, at another URL, has it; nothing was written

local found = redis.call('GET', KEYS[1])
if found then
  -- What cannot be read is nobody's claim.
  local readable, other = pcall(cjson.decode, found)
  if readable and type(other) == 'table' and other.incarnation ~= ARGV[3] and other.agent ~= ARGV[4] then
    return { 'claimed', found }
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'announced' }
