-- A server gives a kickoff back whose process is gone.
-- ARGV: root, id, owner, attempt, lost ('1': counts as a loss), most_losses, end_id, ttl (s), end_of_losses (fields of the
-- end after too many, JSON).
-- Returns {1, status} when it (or an earlier try) did, else {0, status | 'fenced' | ''} as `finish` does.
local id, attempt = ARGV[2], tonumber(ARGV[4])
local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'attempt', 'end')
if not have[1] or (not has_ended(have[1]) and tonumber(have[3]) < attempt) then return {0, ''} end
if have[1] ~= 'running' then
  if have[4] == ARGV[7] then return {1, have[1]} end
  if have[2] == ARGV[3] and tonumber(have[3]) == attempt then leave(id) end
  return {0, have[1]}
end
if not have[2] and tonumber(have[3]) == attempt then return {1, 'running'} end
if have[2] ~= ARGV[3] or tonumber(have[3]) ~= attempt then return {0, 'fenced'} end
if ARGV[5] ~= '1' then
  give_back(id)
elseif lose(id, ARGV[6], ARGV[7], ARGV[8], ARGV[9]) == 'parked' then
  return {1, 'error'}
end
return {1, 'running'}
