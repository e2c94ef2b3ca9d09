-- The process of a kickoff that has ended is gone. ARGV: root, id, owner, attempt. Returns 1 when that was news.
local have = redis.call('HMGET', run_key(ARGV[2]), 'status', 'owner', 'attempt')
if have[1] and have[1] ~= 'running' and have[2] == ARGV[3] and have[3] == ARGV[4] then
  leave(ARGV[2])
  return 1
end
return 0
