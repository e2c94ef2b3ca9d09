-- Takes webhooks whose time has come, for a lease: whoever takes one delivers the first that waits for it.
-- KEYS: hooks. ARGV: what keys begin with, lease (ms), how many.
-- Returns {ms until the next is due (-1: none waits), {webhook, delivery, tries}, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local took = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local first = redis.call('LINDEX', ARGV[1] .. 'hook:' .. name, 0)
  if first then
    redis.call('ZADD', KEYS[1], now + ARGV[2], name)
    local id, channel = string.match(name, '^(.*):(.*)$')
    took[#took + 1] = {name, first, redis.call('HGET', ARGV[1] .. 'run:' .. id, 'tries:' .. channel) or '0'}
  else
    redis.call('ZREM', KEYS[1], name)
  end
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {next[2] and math.max(0, next[2] - now) or -1, unpack(took)}
