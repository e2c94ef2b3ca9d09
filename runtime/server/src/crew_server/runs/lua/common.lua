-- What the scripts of the queue share; `scripts.py` puts it before each of them.
-- KEYS: queue, handed-back, leases, waiting, ends, hooks, pending. ARGV[1]: what the keys of kickoffs and sessions begin
-- with.
--
-- A kickoff is in `waiting` until a server has it, then in `leases` until its process is known to be gone. Its hash has
-- `owner` and `attempt` while a server has it, `stream` and `entry` while it lies in a stream. While a person is asked it
-- is in `pending` instead, and keeps its place in its session's line. All times are Redis' own, in ms. Every script may
-- be run twice by one call, and then does nothing the second time.
local queue, handed_back, leases, waiting, ends, hooks, pending = unpack(KEYS)
local root = ARGV[1]
local PENDING = 'pending_human_input'
local ENDS_KEPT, ENDS_TTL = 10000, 3600
local EVENTS_KEPT, HOOKS_KEPT = 1000, 1000

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function run_key(id) return root .. 'run:' .. id end

local function line_key(session) return root .. 'line:' .. session end

local function runs_key(session) return root .. 'runs:' .. session end

local function has_ended(status) return status ~= 'running' and status ~= PENDING end

local function events_key(id) return root .. 'ev:' .. id end

-- Appends to a kickoff's events, and to the deliveries of the webhook that wants it ('' for none); the event's id.
local function tell(id, type, attempt, data, channel, ttl)
  local entry = redis.call('XADD', events_key(id), 'MAXLEN', '~', EVENTS_KEPT, '*', 'type', type, 'attempt', attempt,
    'data', data)
  redis.call('EXPIRE', events_key(id), ttl)
  if channel == '' then return end
  local wanted = redis.call('HGET', run_key(id), 'hooks')
  if not wanted or not cjson.decode(wanted)[channel] then return end
  local line = root .. 'hook:' .. id .. ':' .. channel
  if redis.call('LLEN', line) >= HOOKS_KEPT then
    redis.call('HINCRBY', run_key(id), 'hooks_failed', 1)
    redis.call('HSET', run_key(id), 'hooks_error', 'too many wait for their receiver')
    return
  end
  -- Not through cjson: it would make [] of {}.
  redis.call('RPUSH', line, entry .. ' ' .. type .. ' ' .. attempt .. ' ' .. data)
  redis.call('EXPIRE', line, ttl)
  redis.call('ZADD', hooks, 'NX', now_ms(), id .. ':' .. channel)
end

-- Lets a kickoff be claimed.
local function enqueue(id, stream)
  local entry = redis.call('XADD', stream, '*', 'id', id)
  redis.call('HSET', run_key(id), 'stream', stream, 'entry', entry)
end

local function dequeue(id)
  local have = redis.call('HMGET', run_key(id), 'stream', 'entry')
  if not have[2] then return end
  redis.call('XDEL', have[1], have[2])
  redis.call('HDEL', run_key(id), 'stream', 'entry')
end

-- Makes a kickoff that may start a server's; its fields.
local function give(id, owner, replica, token, lease)
  local run, now = run_key(id), now_ms()
  dequeue(id)
  redis.call('HINCRBY', run, 'attempt', 1)
  redis.call('HDEL', run, 'told')
  redis.call('HSET', run, 'owner', owner, 'replica', replica, 'claim', token, 'started_at', now)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', leases, now + lease, id)
  return redis.call('HGETALL', run)
end

-- Lets the head of a session's line start, unless it runs or may start already. What has ended, or is not there any
-- more, does not hold up the others.
local function promote(line)
  while true do
    local head = redis.call('LINDEX', line, 0)
    if not head then return end
    local have = redis.call('HMGET', run_key(head), 'status', 'owner', 'entry')
    local held = redis.call('ZSCORE', leases, head) or have[1] == PENDING
    if have[1] == 'running' or held then
      if have[1] == 'running' and not have[2] and not have[3] then enqueue(head, queue) end
      return
    end
    redis.call('LPOP', line)
  end
end

-- Nothing runs a kickoff any more: the next of its session may start.
local function leave(id)
  dequeue(id)
  redis.call('ZREM', leases, id)
  redis.call('ZREM', waiting, id)
  local have = redis.call('HMGET', run_key(id), 'ordered', 'session_id')
  if have[1] then
    redis.call('LREM', line_key(have[2]), 0, id)
    promote(line_key(have[2]))
  end
end

-- Wakes those who wait for a kickoff.
local function wake(id, status)
  redis.call('XADD', ends, 'MAXLEN', '~', ENDS_KEPT, '*', 'id', id, 'status', status)
  redis.call('EXPIRE', ends, ENDS_TTL)
end

-- Ends a kickoff whose other fields are set, for everybody who asks or waits. Its line moves on by `leave`.
local function conclude(id, end_id, status, ttl)
  redis.call('HSET', run_key(id), 'status', status, 'end', end_id, 'ended_at', now_ms())
  redis.call('HDEL', run_key(id), 'suspect', 'asked', 'asked_id', 'saved', 'answer')
  redis.call('ZREM', pending, id)
  redis.call('EXPIRE', run_key(id), ttl)
  redis.call('EXPIRE', runs_key(redis.call('HGET', run_key(id), 'session_id') or ''), ttl)
  wake(id, status)
  tell(id, 'end', redis.call('HGET', run_key(id), 'attempt') or 0, '{}', 'crew', ttl)
end

local function set_all(id, json)
  for field, value in pairs(cjson.decode(json)) do redis.call('HSET', run_key(id), field, value) end
end

-- Makes a kickoff claimable at once. It is still the head of its session's line.
local function give_back(id)
  redis.call('HDEL', run_key(id), 'owner', 'replica', 'started_at', 'progress', 'suspect')
  redis.call('ZREM', leases, id)
  redis.call('ZADD', waiting, now_ms(), id)
  enqueue(id, handed_back)
end

-- What ran a kickoff is gone: give it back, or end it with the fields in `parked` when that happened too often.
local function lose(id, most, end_id, ttl, parked)
  if redis.call('HINCRBY', run_key(id), 'losses', 1) < tonumber(most) then
    give_back(id)
    return 'retried'
  end
  set_all(id, parked)
  conclude(id, end_id, 'error', ttl)
  leave(id)
  return 'parked'
end
