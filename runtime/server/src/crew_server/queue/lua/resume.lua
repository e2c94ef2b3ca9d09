-- Takes a person's answer, once, and lets the kickoff go on: before those that never started.
-- ARGV: root, id, question (its id), token (of this request), ttl (s), hooks (webhooks that change, JSON or ''); then
-- field, value of each field (the answer).
-- Returns {'resumed', session} | {'unknown', ''} | {'answered', status} | {'idle', status} | {'other', the question's id}.
local id, asked, token = ARGV[2], ARGV[3], ARGV[4]
local run = run_key(id)
local have = redis.call('HMGET', run, 'status', 'asked_id', 'answered', 'answer_token', 'session_id')
if not have[1] then return {'unknown', ''} end
if have[3] == asked then
  if have[4] == token then return {'resumed', have[5]} end
  return {'answered', have[1]}
end
if have[1] ~= PENDING then return {'idle', have[1]} end
if have[2] ~= asked then return {'other', have[2]} end
local now = now_ms()
redis.call('HSET', run, 'status', 'running', 'answered', asked, 'answer_token', token, 'resumed_at', now)
put(id, 7)
redis.call('HDEL', run, 'asked_id', 'asked_at', 'answer_by')
drop(id, 'asked')
if ARGV[6] ~= '' then
  local wanted = cjson.decode(redis.call('HGET', run, 'hooks') or '{}')
  for channel, hook in pairs(cjson.decode(ARGV[6])) do wanted[channel] = hook end
  redis.call('HSET', run, 'hooks', cjson.encode(wanted))
end
redis.call('PERSIST', runs_key(have[5]))
redis.call('ZREM', pending, id)
redis.call('ZADD', waiting, now, id)
enqueue(id, handed_back)
local budget = redis.call('HGET', run, 'history')
if budget then
  note(budget, {'kind', 'answer', 'kickoff_id', id, 'session_id', have[5], 'question_id', asked, 'attempt',
    redis.call('HGET', run, 'attempt'), 'at', tostring(now), 'answer', redis.call('HGET', run, 'answer') or ''})
end
tell(id, 'human_input_received', redis.call('HGET', run, 'attempt'), '{}', '', ARGV[5])
return {'resumed', have[5]}
