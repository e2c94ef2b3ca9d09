-- Keeps what an own kickoff has finished, for an attempt after a loss.
-- ARGV: root, id, owner, attempt, ttl (s), first (index of the first row); then the rows (JSON). They replace all from
-- there on.
-- Returns how many rows are kept; -1 when another server or attempt has the kickoff, or it does not run.
local id, first = ARGV[2], tonumber(ARGV[6])
local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'attempt')
if have[1] ~= 'running' or have[2] ~= ARGV[3] or have[3] ~= ARGV[4] then return -1 end
local kept = redis.call('LLEN', finished_key(id))
-- Redis came back without those before: its server has them all.
if kept < first then return kept end
if first == 0 then
  redis.call('DEL', finished_key(id))
else
  redis.call('LTRIM', finished_key(id), 0, first - 1)
end
for i = 7, #ARGV do redis.call('RPUSH', finished_key(id), ARGV[i]) end
redis.call('EXPIRE', finished_key(id), ARGV[5])
return redis.call('LLEN', finished_key(id))
