-- Keep a lock: 1 when the token holds it. Never takes it, for its holder may just have released it.
-- KEYS: lock. ARGV: token, lease (ms).
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
