-- What the scripts of the webhooks share; `outbox.py` puts it before each of them, behind `kickoffs.lua` of the queue.
-- KEYS: hooks.
local hooks = KEYS[1]

local function line_key(name) return root .. 'hook:' .. name end

-- Kickoff and channel of a webhook.
local function parts(name) return string.match(name, '^(.*):(.*)$') end

-- Takes the first that waits for a webhook away, and out of what its kickoff counts for. The kickoff may be gone, or not
-- readable.
local function shift(name)
  local first = redis.call('LPOP', line_key(name))
  if not first then return end
  local id, channel = parts(name)
  charge(id, -hook_size(first))
  local field = waits_field(channel)
  local left = (tonumber(redis.pcall('HGET', run_key(id), field) or '0') or 0) - hook_size(first)
  if left > 0 and redis.call('EXISTS', line_key(name)) == 1 then
    redis.call('HSET', run_key(id), field, left)
  else
    redis.pcall('HDEL', run_key(id), field)
  end
end

-- Counts a delivery that was put aside with its kickoff, if there is one.
local function count_unreadable(id, channel)
  if redis.call('EXISTS', run_key(id)) == 0 then return end
  redis.call('HINCRBY', run_key(id), 'hooks_failed', 1)
  redis.call('HSET', run_key(id), 'hooks_error', channel .. ' webhook: a delivery could not be read and was dead-lettered')
end
