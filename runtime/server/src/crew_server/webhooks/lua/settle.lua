-- What became of a delivery.
-- KEYS: hooks. ARGV: what keys begin with, webhook, id of the delivery, 'delivered' | 'retry' | 'later' | 'failed' |
-- 'abandoned', ms until it is tried again, error.
-- 'later' is no try; 'abandoned' gives up all that waits for the webhook. Returns how many deliveries have ended.
local name, what = ARGV[2], ARGV[4]
local line = ARGV[1] .. 'hook:' .. name
local id, channel = string.match(name, '^(.*):(.*)$')
local run, tries = ARGV[1] .. 'run:' .. id, 'tries:' .. channel
local first = redis.call('LINDEX', line, 0)
-- Another has delivered it meanwhile: the lease was over.
if not first or string.match(first, '^%S+') ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local there = redis.call('EXISTS', run) == 1
if what == 'retry' or what == 'later' then
  redis.call('ZADD', KEYS[1], now + ARGV[5], name)
  if there and what == 'retry' then
    redis.call('HINCRBY', run, tries, 1)
    redis.call('HSET', run, 'hooks_error', ARGV[6])
  end
  return 0
end
local ended = 1
if what == 'abandoned' then
  ended = redis.call('LLEN', line)
  redis.call('DEL', line)
else
  redis.call('LPOP', line)
end
if there then
  redis.call('HDEL', run, tries)
  redis.call('HINCRBY', run, what == 'delivered' and 'hooks_delivered' or 'hooks_failed', ended)
  if what ~= 'delivered' then redis.call('HSET', run, 'hooks_error', ARGV[6]) end
end
if redis.call('EXISTS', line) == 1 then
  redis.call('ZADD', KEYS[1], now, name)
else
  redis.call('ZREM', KEYS[1], name)
end
return ended
