-- Takes a person's answer, once, and lets the kickoff go on: before those that never started.
-- ARGV: root, id, id of the question, token of this request, then field, value, ... (the answer).
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
redis.call('HSET', run, 'status', 'running', 'answered', asked, 'answer_token', token, 'resumed_at', now, unpack(ARGV, 5))
redis.call('HDEL', run, 'asked', 'asked_id', 'asked_at', 'answer_by')
redis.call('ZREM', pending, id)
redis.call('ZADD', waiting, now, id)
enqueue(id, handed_back)
return {'resumed', have[5]}
