-- Note that a session is used, and let its records live on: a session that is used does not expire.
-- Answers the mark of its last erasure, '' when it was not erased within a day.
-- KEYS: ids of the session, log, counter of revisions, ids that expire, the session, all sessions, mark of its erasure
-- ARGV: prefix of record keys, new `exp` (epoch seconds), ms to live (0: for ever), length of the log, segment
local time, ttl = redis.call('TIME'), tonumber(ARGV[3])
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('HSETNX', KEYS[5], 'first', now) == 1 then redis.call('ZADD', KEYS[6], now, ARGV[5]) end
redis.call('HSET', KEYS[5], 'last', now)
-- A session that expired leaves its name behind: each use clears a few more than it makes.
for _, segment in ipairs(redis.call('ZRANDMEMBER', KEYS[6], 3)) do
  local other = string.sub(KEYS[5], 1, -1 - #ARGV[5]) .. segment
  if redis.call('EXISTS', other) == 0 then redis.call('ZREM', KEYS[6], segment) end
end
if ttl > 0 then
  redis.call('PEXPIRE', KEYS[5], ttl)
  local alive, ends = 0, tonumber(ARGV[2]) * 1000
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local key = ARGV[1] .. id
    if redis.call('EXISTS', key) == 1 then
      local revision = redis.call('INCR', KEYS[3])
      redis.call('HSET', key, 'exp', ARGV[2], 'rev', revision)
      redis.call('PEXPIRE', key, ARGV[3])
      redis.call('ZADD', KEYS[4], ends, id)
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'o', 'p', 'i', id, 'r', revision)
      alive = alive + 1
    else
      redis.call('SREM', KEYS[1], id)
    end
  end
  if alive > 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
else
  redis.call('PERSIST', KEYS[5])
end
return redis.call('GET', KEYS[7]) or ''
