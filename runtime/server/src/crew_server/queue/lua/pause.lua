-- Puts a running kickoff away until a person has answered; its session's others wait on.
-- ARGV: root, id, owner, attempt, question (its id), wait (ms until it is given up), asked (what it shows, JSON), ttl
-- (s); then field, value of each field.
-- Returns {1, status} when this call (or an earlier try of it) did, else {0, status | 'fenced' | ''} as `finish` does; ''
-- also when Redis came back with an older state.
local id, owner, attempt, asked = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local run, now = run_key(id), now_ms()
local have = redis.call('HMGET', run, 'status', 'owner', 'attempt', 'asked_id', 'answered', 'session_id')
if not have[1] then return {0, ''} end
if have[4] == asked or have[5] == asked then return {1, have[1]} end
if has_ended(have[1]) then return {0, have[1]} end
if tonumber(have[3]) < attempt then return {0, ''} end
if have[1] ~= 'running' or have[2] ~= owner or tonumber(have[3]) ~= attempt then return {0, 'fenced'} end
redis.call('HSET', run, 'status', PENDING, 'asked_id', asked, 'asked_at', now, 'answer_by', now + ARGV[6],
  'asked', ARGV[7])
charge(id, #ARGV[7])
put(id, 9)
redis.call('HDEL', run, 'owner', 'replica', 'claim', 'started_at', 'suspect')
drop(id, 'answer')
redis.call('PERSIST', runs_key(have[6]))
redis.call('ZREM', leases, id)
redis.call('ZADD', pending, now + ARGV[6], id)
local budget = redis.call('HGET', run, 'history')
if budget then
  note(budget, {'kind', 'question', 'kickoff_id', id, 'session_id', have[6], 'question_id', asked, 'attempt', attempt,
    'at', tostring(now), 'question', ARGV[7]})
end
wake(id, PENDING)
tell(id, 'human_input_requested', attempt, ARGV[7], 'human', ARGV[8])
return {1, PENDING}
