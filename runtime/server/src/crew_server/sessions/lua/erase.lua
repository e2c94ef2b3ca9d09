-- Erases a part of a session's memories, logged for the copies that other processes hold. Called until nothing is left.
-- KEYS: session_records (their ids), session, sessions (all), session_erased (mark of its erasure), memory_ids (all),
--       memory_log, revision (a counter), mortal (ids that an older version let expire), idle (sessions by their last use).
-- ARGV: records (prefix of their keys), log_length, stored_root (of the session), segment, most (at once), mark, mark_ttl
--       (s).
-- Returns {records erased, whether more are left}. The mark comes first: from here on no late write gets in.
redis.call('SET', KEYS[4], ARGV[6], 'EX', ARGV[7])
local erased = 0
for _, id in ipairs(redis.call('SPOP', KEYS[1], ARGV[5])) do
  local key = ARGV[1] .. id
  local scope = redis.call('HGET', key, 'scope')
  local own = scope and (scope == ARGV[3] or string.sub(scope, 1, #ARGV[3] + 1) == ARGV[3] .. '/')
  if own then
    redis.call('UNLINK', key)
    erased = erased + 1
  end
  if own or not scope then
    redis.call('ZREM', KEYS[5], id)
    redis.call('ZREM', KEYS[8], id)
    redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[2], '*', 'o', 'd', 'i', id, 'r', redis.call('INCR', KEYS[7]))
  end
end
local more = redis.call('EXISTS', KEYS[1])
if more == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[4])
  redis.call('ZREM', KEYS[9], ARGV[4])
end
return {erased, more}
