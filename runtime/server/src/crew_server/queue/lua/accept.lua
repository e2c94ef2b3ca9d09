-- Accepts a kickoff, unless the idempotency key stands for one already, or too many wait; and gives it to the server that
-- asks, when that has a free slot and nothing else waits for one.
-- ARGV: root, id, session, ordered ('1': one of its session at a time), most_waiting, key (of idempotency, or ''), body
-- (its digest), ttl (of the key, s), owner ('': it has no slot), replica, lease (ms), budget (bytes that all kickoffs may
-- take); then field, value of each field.
-- Returns {'accepted' | 'known' | 'conflict' | 'full' | 'bytes', kickoff id (full: how many wait; bytes: how many are
-- taken), its session, {field, value, ...} of a kickoff that was given}.
local id, session, ordered, idem, owner = ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[6], ARGV[9]
local run = run_key(id)
if idem ~= '' then
  local kept = redis.call('HMGET', idem, 'id', 'body')
  if kept[1] and kept[1] ~= id then
    local known = redis.call('HGET', run_key(kept[1]), 'session_id')
    if known and kept[2] ~= ARGV[7] then return {'conflict', kept[1], known, {}} end
    if known then return {'known', kept[1], known, {}} end
  end
end
if redis.call('EXISTS', run) == 1 then
  -- Asked a second time. Its own id is the token of what it was given by its acceptance.
  local have = redis.call('HMGET', run, 'status', 'owner', 'claim')
  local given = have[1] == 'running' and have[2] == owner and have[3] == id
  return {'accepted', id, session, given and redis.call('HGETALL', run) or {}}
end
local waits = redis.call('ZCARD', waiting)
if waits >= tonumber(ARGV[5]) then return {'full', tostring(waits), '', {}} end
local now = now_ms()
sweep(now)
-- The session's id is in its kickoff's fields and in the name of a key.
local taken, size = tonumber(redis.call('GET', total) or '0'), OVERHEAD + 2 * #session
if idem ~= '' then size = size + KEY_OVERHEAD end
for i = 13, #ARGV, 2 do size = size + #ARGV[i + 1] end
if taken + size > tonumber(ARGV[12]) then return {'bytes', tostring(taken), '', {}} end
charge(id, size)
redis.call('HSET', run, 'status', 'running', 'kickoff_id', id, 'session_id', session, 'created_at', now, 'attempt', 0,
  unpack(ARGV, 13))
redis.call('ZADD', waiting, now, id)
redis.call('ZADD', runs_key(session), now, id)
redis.call('PERSIST', runs_key(session))
if ordered then
  redis.call('HSET', run, 'ordered', '1')
  redis.call('RPUSH', line_key(session), id)
  promote(line_key(session))
else
  enqueue(id, queue)
end
if idem ~= '' then
  redis.call('HSET', idem, 'id', id, 'body', ARGV[7])
  redis.call('EXPIRE', idem, ARGV[8])
end
local first = redis.call('HEXISTS', run, 'entry') == 1 and redis.call('XLEN', queue) == 1
if owner ~= '' and first and redis.call('XLEN', handed_back) == 0 then
  return {'accepted', id, session, give(id, owner, ARGV[10], id, ARGV[11])}
end
return {'accepted', id, session, {}}
