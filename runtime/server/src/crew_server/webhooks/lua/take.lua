-- Takes webhooks whose time has come, for a lease: whoever takes one delivers the first that waits for it.
-- ARGV: root, lease (ms), most.
-- One that cannot be read is put aside. Returns {ms until the next is due (-1: none waits), {webhook, delivery, tries, its
-- SHA-1}, ...}.
local now, took = now_ms(), {}

local function take(name)
  local first = redis.call('LINDEX', line_key(name), 0)
  if first then
    redis.call('ZADD', hooks, now + ARGV[2], name)
    local id, channel = parts(name)
    took[#took + 1] = {name, first, redis.call('HGET', run_key(id), 'tries:' .. channel) or '0', redis.sha1hex(first)}
  else
    redis.call('ZREM', hooks, name)
  end
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', hooks, '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local _, why = try(function() take(name) end)
  if why then
    redis.call('ZREM', hooks, name)
    bury('webhook', name, '', why)
    -- The kickoff may be what cannot be read, or the name.
    pcall(function()
      local id, channel = parts(name)
      count_unreadable(id, channel)
      forget_credentials(id)
    end)
  end
end
local next = redis.call('ZRANGE', hooks, 0, 0, 'WITHSCORES')
return {next[2] and math.max(0, next[2] - now) or -1, unpack(took)}
