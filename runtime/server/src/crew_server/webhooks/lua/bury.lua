-- Puts the first delivery of a webhook aside, which cannot be read: those behind it go on.
-- ARGV: root, webhook, SHA-1 of the entry, why. Returns 1 when it did.
local name = ARGV[2]
local first = redis.call('LINDEX', line_key(name), 0)
if not first or redis.sha1hex(first) ~= ARGV[3] then return 0 end
shift(name)
bury('webhook', name, first, ARGV[4])
local id, channel = parts(name)
if redis.call('EXISTS', run_key(id)) == 1 then
  redis.call('HDEL', run_key(id), 'tries:' .. channel)
  redis.call('HINCRBY', run_key(id), 'hooks_failed', 1)
  redis.call('HSET', run_key(id), 'hooks_error', channel .. ' webhook: a delivery could not be read and was put aside')
end
if redis.call('EXISTS', line_key(name)) == 1 then
  redis.call('ZADD', hooks, now_ms(), name)
else
  redis.call('ZREM', hooks, name)
  forget_credentials(id)
end
return 1
