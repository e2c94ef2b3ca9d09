-- Take a step to end that records expire by themselves, as an older version let them: only a session's end is theirs.
-- KEYS: mortal (ids that an older version let expire), memory_ids (all), memory_log, revision (a counter).
-- ARGV: root, log_length, most (at once).
-- Answers whether there are more.
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1)) do
  redis.call('ZREM', KEYS[1], id)
  local scope = redis.call('HGET', ARGV[1] .. 'm:' .. id, 'scope')
  if scope then
    redis.call('PERSIST', ARGV[1] .. 'm:' .. id)
    local session = string.match(scope, '^/s/([^/]+)')
    if session then
      redis.call('PERSIST', ARGV[1] .. 's:' .. session)
      redis.call('PERSIST', ARGV[1] .. 'session:' .. session)
    end
  else
    redis.call('ZREM', KEYS[2], id)
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'o', 'd', 'i', id, 'r', redis.call('INCR', KEYS[4]))
  end
end
return redis.call('EXISTS', KEYS[1])
