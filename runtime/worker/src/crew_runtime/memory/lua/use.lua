-- Note that a session is used. One that had expired is erased first, in steps: who is told that there is more comes again.
-- Each use also takes a step with others that expired.
-- KEYS: meta, memory_ids (all), memory_log, revision (a counter), sessions (all), idle (sessions by their last use), mortal
--       (ids that an older version let expire), session_erased (mark of its erasure), session, session_records (their ids).
-- ARGV: root, segment, ttl (ms; 0: for ever), log_length, most (records at once).
-- Answers {whether more of the session has to be erased, mark of its last erasure ('': not within a day), whether an older
-- version let records expire by themselves}.
local root, segment, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known, since = unpack(redis.call('HMGET', KEYS[1], 'session_ttl', 'session_ttl_since'))
if tonumber(known or 0) ~= ttl then
  since = now
  redis.call('HSET', KEYS[1], 'session_ttl', ttl, 'session_ttl_since', since)
end
local at = {root = root, ids = KEYS[2], log = KEYS[3], revision = KEYS[4], sessions = KEYS[5], idle = KEYS[6],
            mortal = KEYS[7], now = now, ttl = ttl, since = since, length = ARGV[4], left = tonumber(ARGV[5])}
local last = last_use(at, segment)
if ttl > 0 and last and last + ttl < now and not erase(at, segment) then return {1, '', 0} end
if redis.call('HSETNX', KEYS[9], 'first', now) == 1 then redis.call('ZADD', KEYS[5], now, segment) end
redis.call('HSET', KEYS[9], 'last', now)
redis.call('ZADD', KEYS[6], now, segment)
redis.call('PERSIST', KEYS[9])
redis.call('PERSIST', KEYS[10])
-- Sessions that an older version used are in no order of their last use.
for _, name in ipairs(redis.call('ZRANDMEMBER', KEYS[5], 20)) do
  if not redis.call('ZSCORE', KEYS[6], name) then
    local used = last_use(at, name)
    if used then
      redis.call('ZADD', KEYS[6], used, name)
    elseif redis.call('EXISTS', root .. 's:' .. name) == 0 then
      redis.call('ZREM', KEYS[5], name)
    else
      redis.call('HSET', root .. 'session:' .. name, 'first', redis.call('ZSCORE', KEYS[5], name), 'last', now)
    end
  end
end
if ttl > 0 then sweep(at, 20) end
return {0, redis.call('GET', KEYS[8]) or '', redis.call('EXISTS', KEYS[7])}
