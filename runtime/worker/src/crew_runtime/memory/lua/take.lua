-- Take a lock: 1 when the token holds it now, as a retry of the same call finds it. KEYS: lock. ARGV: token, lease (ms).
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
