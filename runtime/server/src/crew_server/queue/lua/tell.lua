-- Events of an own kickoff, in their order.
-- ARGV: root, id, owner, attempt, ttl (s), first (number of the first of them in this attempt); then type, data (JSON),
-- channel (the webhook that wants it, or '') of each event.
-- Returns 1, or 0 when another server or attempt has the kickoff, or it has ended.
local id, attempt, first = ARGV[2], ARGV[4], tonumber(ARGV[6])
local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'attempt', 'told')
if have[1] ~= 'running' or have[2] ~= ARGV[3] or have[3] ~= attempt then return 0 end
local told, number = tonumber(have[4] or '0'), first
for i = 7, #ARGV, 3 do
  -- Those that an earlier try has told are not told again.
  if number >= told then tell(id, ARGV[i], attempt, ARGV[i + 1], ARGV[i + 2], ARGV[5]) end
  number = number + 1
end
redis.call('HSET', run_key(id), 'told', math.max(told, number))
return 1
