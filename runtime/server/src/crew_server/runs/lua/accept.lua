-- Accepts a kickoff, unless the idempotency key stands for one already, or too many wait.
-- ARGV: root, id, session, ordered ('1': one of its session at a time), how many may wait, idempotency key or
-- '', digest of the body, ttl of the key (s), then field, value, ...
-- Returns {'accepted' | 'known' | 'conflict' | 'full', kickoff id (full: how many wait), its session}.
local id, session, ordered, idem = ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[6]
if idem ~= '' then
  local kept = redis.call('HMGET', idem, 'id', 'body')
  if kept[1] and kept[1] ~= id then
    local known = redis.call('HGET', run_key(kept[1]), 'session_id')
    if known and kept[2] ~= ARGV[7] then return {'conflict', kept[1], known} end
    if known then return {'known', kept[1], known} end
  end
end
if redis.call('EXISTS', run_key(id)) == 1 then return {'accepted', id, session} end
local waits = redis.call('ZCARD', waiting)
if waits >= tonumber(ARGV[5]) then return {'full', tostring(waits), ''} end
local now = now_ms()
redis.call('HSET', run_key(id), 'status', 'running', 'kickoff_id', id, 'session_id', session, 'created_at', now,
  'attempt', 0, unpack(ARGV, 9))
redis.call('ZADD', waiting, now, id)
if ordered then
  redis.call('HSET', run_key(id), 'ordered', '1')
  redis.call('RPUSH', line_key(session), id)
  promote(line_key(session))
else
  enqueue(id, queue)
end
if idem ~= '' then
  redis.call('HSET', idem, 'id', id, 'body', ARGV[7])
  redis.call('EXPIRE', idem, ARGV[8])
end
return {'accepted', id, session}
