-- Ends a running kickoff; the first who comes wins.
-- KEYS: run. ARGV: owner ('' for anyone, who may then not create it), ttl (s), end id, status, then field, value, ...
-- Returns {1, status} when this call (or an earlier try of it) ended it, else {0, what it is; '' when it is not there}.
local run, owner = KEYS[1], ARGV[1]
local have = redis.call('HMGET', run, 'status', 'owner', 'end')
local status = have[1]
if not status and owner == '' then return {0, ''} end
if status and status ~= 'running' then
  if have[3] == ARGV[3] then return {1, status} end
  return {0, status}
end
if status and owner ~= '' and have[2] ~= owner then return {0, 'fenced'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 5, #ARGV, 2 do redis.call('HSET', run, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', run, 'status', ARGV[4], 'end', ARGV[3], 'ended_at', now)
if owner ~= '' then redis.call('HSET', run, 'owner', owner) end
redis.call('HDEL', run, 'lease', 'suspect')
redis.call('EXPIRE', run, ARGV[2])
return {1, ARGV[4]}
