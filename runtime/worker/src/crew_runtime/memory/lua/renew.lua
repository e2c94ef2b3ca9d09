-- Let a session's records live on: a session that is used does not expire. Answers how many there are.
-- KEYS: ids of the session, log, counter of revisions, ids that expire
-- ARGV: prefix of record keys, new `exp` (epoch seconds), ms to live, length of the log
local ids = redis.call('SMEMBERS', KEYS[1])
local alive, ends = 0, tonumber(ARGV[2]) * 1000
for _, id in ipairs(ids) do
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
if alive > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return alive
