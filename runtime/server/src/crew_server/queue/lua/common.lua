-- What the scripts of the queue share; `scripts.py` puts it before each of them, behind `kickoffs.lua`.
-- KEYS: queue, handed_back, leases, waiting, ends, hooks, pending.
--
-- A kickoff is in `waiting` until a server has it, then in `leases` until its process is known to be gone. Its hash has
-- `owner` and `attempt` while a server has it, `stream` and `entry` while it lies in a stream. While a person is asked it
-- is in `pending` instead, and keeps its place in its session's line. All times are Redis' own, in ms. Every script may
-- be run twice by one call, and then does nothing the second time.
local queue, handed_back, leases, waiting, ends, hooks, pending = unpack(KEYS)
local ENDS_KEPT, ENDS_TTL = 10000, 3600
-- Of one kickoff's events; of what waits for one of its webhooks, so that a receiver that takes nothing keeps none of the
-- others from theirs.
local EVENTS_KEPT, EVENTS_BYTES, HOOKS_KEPT, HOOKS_BYTES = 1000, 4194304, 1000, 2097152
-- Bytes that a kickoff counts for beside its texts. 4 KiB are the node that Redis makes for the first of its events, which
-- is so large however short they are; the rest are its keys, its hash, and its places in the sets of all kickoffs.
local OVERHEAD = 6144
-- The same of its idempotency key, and of each of its events.
local KEY_OVERHEAD, EVENT_OVERHEAD = 512, 32
local INPUTS_KEPT = 3600 -- seconds after the end
local expiries, inputs_until = root .. 'kickoffs:ends', root .. 'kickoffs:inputs'

local function line_key(session) return root .. 'line:' .. session end

local function finished_key(id) return root .. 'done:' .. id end

-- Sets a kickoff's fields, those in ARGV from `first` on, and counts what they take.
local function put(id, first)
  local run, grown = run_key(id), 0
  for i = first, #ARGV, 2 do
    grown = grown + #ARGV[i + 1] - redis.call('HSTRLEN', run, ARGV[i])
    redis.call('HSET', run, ARGV[i], ARGV[i + 1])
  end
  charge(id, grown)
end

-- Takes fields from a kickoff.
local function drop(id, ...)
  local shrunk = 0
  for _, field in ipairs({...}) do shrunk = shrunk + redis.call('HSTRLEN', run_key(id), field) end
  redis.call('HDEL', run_key(id), ...)
  charge(id, -shrunk)
end

-- Takes those out of the count that have expired, and the inputs of those that ended a while ago.
local function sweep(now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, 100)) do
    uncount(id)
    redis.call('ZREM', expiries, id)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', inputs_until, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', inputs_until, id)
    local status = redis.pcall('HGET', run_key(id), 'status')
    if type(status) == 'string' and has_ended(status) then drop(id, 'inputs') end
  end
end

-- Does something with one kickoff, and puts it aside when it cannot be read: the others must not wait for a person.
local function guarded(id, act)
  local found, why = try(act)
  if not why then return found end
  for _, set in ipairs({leases, waiting, pending}) do redis.call('ZREM', set, id) end
  bury('kickoff', id, '', why)
  local status = redis.pcall('HGET', run_key(id), 'status')
  if status == 'running' or status == PENDING then
    redis.pcall('HSET', run_key(id), 'status', 'error', 'reason', 'Unreadable', 'error', why)
    redis.pcall('EXPIRE', run_key(id), DEAD_TTL)
  end
  pcall(forget_credentials, id)
  return nil
end

-- Appends to a kickoff's events, and to the deliveries of the webhook that wants it ('' for none); the event's id.
local function tell(id, type, attempt, data, channel, ttl)
  local stream = events_key(id)
  local entry = redis.call('XADD', stream, 'MAXLEN', '~', EVENTS_KEPT, '*', 'type', type, 'attempt', attempt, 'data', data)
  redis.call('EXPIRE', stream, ttl)
  local length, before = redis.call('XLEN', stream), tonumber(redis.call('HGET', run_key(id), 'told_bytes') or '0')
  local after = before + #type + #data + EVENT_OVERHEAD
  -- The oldest go for the newest, as if all were of one size.
  if length >= EVENTS_KEPT then after = after - math.floor(before / length) end
  if after > EVENTS_BYTES and length > 1 then
    redis.call('XTRIM', stream, 'MAXLEN', math.ceil(length / 2))
    after = math.ceil(after / 2)
  end
  redis.call('HSET', run_key(id), 'told_bytes', after)
  charge(id, after - before)
  if channel == '' then return end
  local wanted = redis.call('HGET', run_key(id), 'hooks')
  if not wanted or not cjson.decode(wanted)[channel] then return end
  -- Not through cjson: it would make [] of {}.
  local line, delivery = hook_key(id, channel), entry .. ' ' .. type .. ' ' .. attempt .. ' ' .. data
  local length, size = redis.call('LLEN', line), hook_size(delivery)
  local bytes = length > 0 and tonumber(redis.call('HGET', run_key(id), waits_field(channel)) or '0') or 0
  -- One is taken whatever its size.
  if length >= HOOKS_KEPT or length > 0 and bytes + size > HOOKS_BYTES then
    redis.call('HINCRBY', run_key(id), 'hooks_failed', 1)
    redis.call('HSET', run_key(id), 'hooks_error', 'too many wait for their receiver')
    return
  end
  redis.call('RPUSH', line, delivery)
  redis.call('HSET', run_key(id), waits_field(channel), bytes + size)
  charge(id, size)
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
  redis.call('HDEL', run, 'told', 'resumed_from_task', 'restarted_because')
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
    local have = redis.pcall('HMGET', run_key(head), 'status', 'owner', 'entry') -- not a hash: nobody's
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

-- What the durable history is told of a kickoff that has ended.
local HISTORY = {'session_id', 'status', 'error', 'memory', 'inputs', 'meta', 'result', 'extra', 'attempt',
  'losses', 'created_at', 'started_at', 'ended_at', 'execution_ms', 'replica', 'made_by', 'reason'}

-- Puts an end into the outbox of the durable history, if the kickoff's server has one.
local function note_end(id)
  local budget = redis.call('HGET', run_key(id), 'history')
  if not budget then return end
  local fields, have = {'kind', 'kickoff', 'kickoff_id', id}, redis.call('HMGET', run_key(id), unpack(HISTORY))
  for i, name in ipairs(HISTORY) do
    if have[i] then fields[#fields + 1], fields[#fields + 2] = name, have[i] end
  end
  note(budget, fields)
end

-- Ends a kickoff whose other fields are set, for everybody who asks or waits. Its line moves on by `leave`.
local function conclude(id, end_id, status, ttl)
  redis.call('HSET', run_key(id), 'status', status, 'end', end_id, 'ended_at', now_ms())
  redis.call('HDEL', run_key(id), 'suspect', 'asked_id')
  drop(id, 'asked', 'saved', 'answer')
  redis.call('ZREM', pending, id)
  redis.call('UNLINK', finished_key(id))
  redis.call('EXPIRE', run_key(id), ttl)
  redis.call('EXPIRE', runs_key(redis.call('HGET', run_key(id), 'session_id') or ''), ttl)
  note_end(id)
  wake(id, status)
  tell(id, 'end', redis.call('HGET', run_key(id), 'attempt') or 0, '{}', 'crew', ttl)
  forget_credentials(id)
  redis.call('ZADD', expiries, now_ms() + ttl * 1000, id)
  redis.call('ZADD', inputs_until, now_ms() + math.min(ttl, INPUTS_KEPT) * 1000, id)
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
