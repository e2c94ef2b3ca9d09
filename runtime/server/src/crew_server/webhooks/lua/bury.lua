-- Puts the first delivery of a webhook aside, which cannot be read: those behind it go on.
-- ARGV: root, webhook, digest (SHA-1 of the entry), why. Returns 1 when it did.
local name = ARGV[2]
local first = redis.call('LINDEX', line_key(name), 0)
if not first or redis.sha1hex(first) ~= ARGV[3] then return 0 end
shift(name)
bury('webhook', name, first, ARGV[4])
local id, channel = parts(name)
redis.call('HDEL', run_key(id), 'tries:' .. channel)
count_unreadable(id, channel)
if redis.call('EXISTS', line_key(name)) == 1 then
  redis.call('ZADD', hooks, now_ms(), name)
else
  redis.call('ZREM', hooks, name)
  forget_credentials(id)
end
return 1
