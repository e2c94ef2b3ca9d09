-- Writes a kickoff that a server runs and Redis has lost, or has in an older state.
-- ARGV: root, id, session, ordered, owner, attempt, lease (ms), running_for (ms); then field, value of each field.
-- Returns 1 when it was written, 0 when what is there is as new.
local id, session = ARGV[2], ARGV[3]
local have = redis.call('HMGET', run_key(id), 'status', 'attempt')
if have[1] and (has_ended(have[1]) or tonumber(have[2]) >= tonumber(ARGV[6])) then return 0 end
local now = now_ms()
dequeue(id)
redis.call('ZREM', waiting, id)
redis.call('ZREM', pending, id)
redis.call('HDEL', run_key(id), 'asked', 'asked_id')
redis.call('HSETNX', run_key(id), 'created_at', now - ARGV[8])
redis.call('HSET', run_key(id), 'status', 'running', 'kickoff_id', id, 'session_id', session, 'owner', ARGV[5],
  'attempt', ARGV[6], 'started_at', now - ARGV[8])
put(id, 9)
redis.call('ZADD', leases, now + ARGV[7], id)
redis.call('ZADD', runs_key(session), now - ARGV[8], id)
if ARGV[4] == '1' then
  redis.call('HSET', run_key(id), 'ordered', '1')
  redis.call('LREM', line_key(session), 0, id)
  -- Who took its place meanwhile and has not started waits again.
  local head = redis.call('LINDEX', line_key(session), 0)
  if head then dequeue(head) end
  redis.call('LPUSH', line_key(session), id)
end
return 1
