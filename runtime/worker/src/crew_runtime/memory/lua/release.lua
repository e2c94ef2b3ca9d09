-- Give a lock back: 1 when the token held it, as a retry of the same call finds it.
-- KEYS: lock, released (says that the token gave it back). ARGV: token, retried_within (ms that the latter lives).
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.pcall('SET', KEYS[2], '', 'PX', ARGV[2]) -- a Redis that is full gives it back all the same
  return 1
end
return redis.call('EXISTS', KEYS[2])
