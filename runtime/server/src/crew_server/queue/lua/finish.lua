-- Ends a kickoff that runs, waits or asks; the first who comes wins.
-- ARGV: root, id, owner ('' for anyone, who may then not create it), attempt, end_id, status, ttl (s), gone ('1': its
-- process has nothing more to say; else `settle` tells when), session; then field, value of each field.
-- Returns {1, status} when this call (or an earlier try of it) ended it, else {0, what it is; 'fenced' when another server
-- or attempt has it; '' when it is not there}.
local id, owner, attempt, end_id, status = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'attempt', 'end')
if not have[1] and owner == '' then return {0, ''} end
if have[1] and has_ended(have[1]) then
  if have[4] == end_id then return {1, have[1]} end
  return {0, have[1]}
end
-- An attempt that is younger than the stored one is the truth: Redis came back with an older state.
if have[1] and owner ~= '' and tonumber(have[3]) >= attempt and (have[2] ~= owner or tonumber(have[3]) ~= attempt) then
  return {0, 'fenced'}
end
put(id, 10)
if owner ~= '' then
  redis.call('HSET', run_key(id), 'kickoff_id', id, 'session_id', ARGV[9], 'owner', owner, 'attempt', attempt)
  redis.call('ZADD', runs_key(ARGV[9]), 'NX', now_ms(), id)
end
conclude(id, end_id, status, ARGV[7])
if ARGV[8] == '1' or not redis.call('ZSCORE', leases, id) then leave(id) end
return {1, status}
