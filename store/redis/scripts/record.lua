-- Prepended to every script that works on a record (Lua scripts in Redis cannot include each other).
--
-- A record is a hash at `stickshift:{<session key>}`:
--   s  state: active, released, ended
--   o  owner: backend ID
--   e  epoch
--   q  seq of the last commit; 0 in a tombstone that replaced nothing
--   c  time of the last commit, ms since 1970 by this server's clock
--   i  idle deadline, ms since 1970; of a tombstone: how long it stands
--   x  absolute deadline, ms since 1970, or '' when there is none
--   d  sealed snapshot; absent in a tombstone
--
-- Whoever takes an active record from its owner publishes the session key on `stickshift:taken:<owner>`.
--
-- Every script answers a list whose first element is the outcome. A summary in it is, in this order:
--   s, o, e, q, c, i, x, bytes of d, time of the answer (ms since 1970)

-- From 15 digits on, Lua's own notation has an exponent, which Redis does not take for a number.
local function whole(number)
  return string.format('%.0f', number)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function expiry(idle_at, absolute_at)
  local idle = tonumber(idle_at)
  local absolute = tonumber(absolute_at)
  if absolute and absolute < idle then
    return absolute
  end
  return idle
end

-- The record as a table, or nil when there is none. Redis may remove an expired key late, so the deadline decides.
local function live(key, now)
  local f = redis.call('HMGET', key, 's', 'o', 'e', 'q', 'c', 'i', 'x')
  if not (f[1] or f[2] or f[3] or f[4] or f[5] or f[6] or f[7]) then
    return nil
  end
  local record = {
    state = f[1], owner = f[2], epoch = tonumber(f[3] or ''), seq = tonumber(f[4] or ''),
    committed_at = f[5], idle_at = f[6], absolute_at = f[7],
  }
  if not (record.state and record.owner and record.epoch and record.seq and tonumber(f[5] or '')
      and tonumber(f[6] or '') and f[7]) then
    error({ err = 'INVALIDRECORD a field is missing or is no number' })
  end
  if expiry(record.idle_at, record.absolute_at) <= now then
    return nil
  end
  return record
end

local function summary(outcome, key, record, now)
  return {
    outcome, record.state, record.owner, whole(record.epoch), whole(record.seq), record.committed_at,
    record.idle_at, record.absolute_at, whole(redis.call('HSTRLEN', key, 'd')), whole(now),
  }
end

local function fenced(record)
  return { 'fenced', record.owner, whole(record.epoch) }
end

local function owns(owner, epoch, record)
  return record.owner == owner and record.epoch == epoch
end

-- The reply when a commit has no effect; nil when it has. An older epoch in the record proves that this server forgot an
-- adopt, for epochs come from nowhere else.
local function commit_refusal(record, owner, epoch, seq)
  if not record then
    return nil
  end
  if record.state == 'ended' then
    return { 'ended' }
  end
  if record.epoch < epoch then
    return nil
  end
  if record.state ~= 'active' or not owns(owner, epoch, record) then
    return fenced(record)
  end
  if seq <= record.seq then
    return { 'stale', whole(record.seq) }
  end
  return nil
end

-- The reply when no tombstone is left; nil when it is. Epoch 0: the caller never committed the session.
local function end_refusal(record, owner, epoch)
  if not record or record.state == 'ended' or record.epoch < epoch then
    return nil
  end
  if record.owner == owner and (epoch == 0 or record.epoch == epoch) then
    return nil
  end
  return fenced(record)
end

-- Tells an owner that its session becomes somebody else's; returns whether it does. Before the writes: if this is not
-- allowed, they do not happen.
local function tell_taken(key, record, owner)
  local taken = record ~= nil and record.state == 'active' and record.owner ~= owner
  if taken then
    redis.call('PUBLISH', 'stickshift:taken:' .. record.owner, string.match(key, '{(.*)}'))
  end
  return taken
end

-- Replaces whatever is at the key.
local function store(key, state, owner, epoch, seq, now, idle_at, absolute_at, snapshot)
  redis.call('DEL', key)
  redis.call('HSET', key, 's', state, 'o', owner, 'e', epoch, 'q', seq, 'c', whole(now), 'i', idle_at,
    'x', absolute_at)
  if snapshot then
    redis.call('HSET', key, 'd', snapshot)
  end
  redis.call('PEXPIREAT', key, whole(expiry(idle_at, absolute_at)))
end

-- Leaves a tombstone in place of a record, or prolongs the one that stands; it is never shortened.
local function entomb(key, record, owner, epoch, now, ends_at)
  if not record then
    store(key, 'ended', owner, whole(epoch), '0', now, ends_at, '')
  elseif record.state ~= 'ended' then
    tell_taken(key, record, owner)
    store(key, 'ended', owner, whole(math.max(record.epoch, epoch)), whole(record.seq), now, ends_at, '')
  elseif tonumber(ends_at) > tonumber(record.idle_at) then
    redis.call('HSET', key, 'i', ends_at)
    redis.call('PEXPIREAT', key, ends_at)
  end
end
