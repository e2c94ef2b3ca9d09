-- Ends a kickoff that its server was given and cannot read.
-- ARGV: root, id, owner, attempt, why, ttl (s), end (its fields, JSON). Returns 1 when it did.
local id = ARGV[2]
local have = redis.call('HMGET', run_key(id), 'status', 'owner')
if have[1] ~= 'running' or have[2] ~= ARGV[3] then return 0 end
guarded(id, function()
  set_all(id, ARGV[7])
  conclude(id, 'unreadable-' .. ARGV[4], 'error', ARGV[6])
  leave(id)
  bury('kickoff', id, '', ARGV[5])
end)
return 1
