-- Note that a session is used. One that had expired is erased first, in steps: who is told that there is more comes again.
-- A session ends when it was not used for the time to live, which the last use of any session said; it counts from when
-- it was said, so that nobody loses at once what was idle before.
-- Each use also takes a step with others that expired.
-- KEYS: meta, all ids, log, counter of revisions, all sessions, sessions by their last use, ids that an older version let
--       expire, mark of the session's erasure, the session, ids of the session
-- ARGV: root of keys, segment, ms to live (0: for ever), length of the log, how many records at most
-- Answers {whether more of the session has to be erased, mark of its last erasure ('': not within a day), whether an older
-- version let records expire by themselves}.
local root, segment, ttl, length, left = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known, since = unpack(redis.call('HMGET', KEYS[1], 'session_ttl', 'session_ttl_since'))
if tonumber(known or 0) ~= ttl then
  since = now
  redis.call('HSET', KEYS[1], 'session_ttl', ttl, 'session_ttl_since', since)
end
local function last_use(name)
  local last = redis.call('HGET', root .. 'session:' .. name, 'last')
  return last and math.max(tonumber(last), tonumber(since or 0))
end
local function forget(id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[7], id)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', length, '*', 'o', 'd', 'i', id, 'r', redis.call('INCR', KEYS[4]))
end
-- True when nothing is left of it.
local function erase(name)
  local own, ids = '/s/' .. name, {}
  if left > 0 then ids = redis.call('SPOP', root .. 's:' .. name, left) end
  left = left - #ids
  for _, id in ipairs(ids) do
    local scope = redis.call('HGET', root .. 'm:' .. id, 'scope')
    local mine = scope and (scope == own or string.sub(scope, 1, #own + 1) == own .. '/')
    if mine then redis.call('UNLINK', root .. 'm:' .. id) end
    if mine or not scope then forget(id) end
  end
  if redis.call('EXISTS', root .. 's:' .. name) == 1 then return false end
  redis.call('DEL', root .. 'session:' .. name)
  redis.call('ZREM', KEYS[5], name)
  redis.call('ZREM', KEYS[6], name)
  return true
end
local last = last_use(segment)
if ttl > 0 and last and last + ttl < now and not erase(segment) then return {1, '', 0} end
if redis.call('HSETNX', KEYS[9], 'first', now) == 1 then redis.call('ZADD', KEYS[5], now, segment) end
redis.call('HSET', KEYS[9], 'last', now)
redis.call('ZADD', KEYS[6], now, segment)
redis.call('PERSIST', KEYS[9])
redis.call('PERSIST', KEYS[10])
-- Sessions that an older version used are in no order of their last use.
for _, name in ipairs(redis.call('ZRANDMEMBER', KEYS[5], 20)) do
  if not redis.call('ZSCORE', KEYS[6], name) then
    local used = last_use(name)
    if used then
      redis.call('ZADD', KEYS[6], used, name)
    elseif redis.call('EXISTS', root .. 's:' .. name) == 0 then
      redis.call('ZREM', KEYS[5], name)
    else
      redis.call('HSET', root .. 'session:' .. name, 'first', redis.call('ZSCORE', KEYS[5], name), 'last', now)
    end
  end
end
if ttl > 0 then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now - ttl, 'LIMIT', 0, 20)) do
    local used = last_use(name)
    if used and used + ttl >= now then
      redis.call('ZADD', KEYS[6], used, name)
    elseif left <= 0 or not erase(name) then
      break
    end
  end
end
return {0, redis.call('GET', KEYS[8]) or '', redis.call('EXISTS', KEYS[7])}
