#!lua flags=allow-oom
-- Writes something, so that WAIT on this connection covers whatever any connection has written before.
--
-- KEYS[1]  stickshift:mark
--
-- Reply: { 'marked' }

redis.call('SET', KEYS[1], '')
return { 'marked' }
