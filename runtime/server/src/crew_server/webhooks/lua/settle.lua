-- What became of a delivery.
-- ARGV: root, webhook, delivery (its id), what ('delivered' | 'retry' | 'later' | 'failed' | 'abandoned'), wait (ms until
-- it is tried again), error.
-- 'later' is no try; 'abandoned' gives up all that waits for the webhook. Returns how many deliveries have ended.
local name, what = ARGV[2], ARGV[4]
local line = line_key(name)
local id, channel = parts(name)
local run, tries = run_key(id), 'tries:' .. channel
local first = redis.call('LINDEX', line, 0)
-- Another has delivered it meanwhile: the lease was over.
if not first or string.match(first, '^%S+') ~= ARGV[3] then return 0 end
local now = now_ms()
local there = redis.call('EXISTS', run) == 1
if what == 'retry' or what == 'later' then
  redis.call('ZADD', hooks, now + ARGV[5], name)
  if there and what == 'retry' then
    redis.call('HINCRBY', run, tries, 1)
    redis.call('HSET', run, 'hooks_error', ARGV[6])
  end
  return 0
end
local ended = 0
repeat
  shift(name)
  ended = ended + 1
until what ~= 'abandoned' or redis.call('EXISTS', line) == 0
if there then
  redis.call('HDEL', run, tries)
  redis.call('HINCRBY', run, what == 'delivered' and 'hooks_delivered' or 'hooks_failed', ended)
  if what ~= 'delivered' then redis.call('HSET', run, 'hooks_error', ARGV[6]) end
end
if redis.call('EXISTS', line) == 1 then
  redis.call('ZADD', hooks, now, name)
else
  redis.call('ZREM', hooks, name)
  forget_credentials(id)
end
return ended
