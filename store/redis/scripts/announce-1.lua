#!lua flags=allow-oom
-- Announces a backend. A script only for its flag: a full server must not make all backends disappear.
--
-- KEYS[1]  stickshift:backend:<id>
-- ARGV[1]  announcement, JSON
-- ARGV[2]  time to live, ms
--
-- Reply: { 'announced' }

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'announced' }
