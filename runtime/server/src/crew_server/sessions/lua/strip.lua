-- Takes from ended kickoffs of a session all that was said in them, told of them, or still to be told. The id and how it
-- ended stay until they expire: a kickoff that was gone altogether would be written anew by a replica that still has it.
-- One that has ended and whose process still dies counts as running: what it holds is needed to let the next one start.
-- KEYS: leases; then the kickoffs. ARGV: root, session. Returns {how many were stripped, how many run yet}.
local stripped, running = 0, 0
for at = 2, #KEYS do
  local run = KEYS[at]
  local have = redis.call('HMGET', run, 'session_id', 'status', 'kickoff_id')
  if have[1] == ARGV[2] then
    if not has_ended(have[2]) or redis.call('ZSCORE', KEYS[1], have[3] or '') then
      running = running + 1
    else
      for _, field in ipairs(redis.call('HKEYS', run)) do
        if not string.find(' kickoff_id status owner replica end attempt created_at started_at ended_at ', ' ' .. field .. ' ', 1, true) then
          redis.call('HDEL', run, field)
        end
      end
      redis.call('HSET', run, 'session_id', '', 'reason', 'SessionErased', 'error', 'its session was erased')
      redis.call('UNLINK', events_key(have[3]))
      for _, channel in ipairs({'task', 'step', 'crew', 'human'}) do redis.call('UNLINK', hook_key(have[3], channel)) end
      redis.call('ZREM', runs_key(ARGV[2]), have[3])
      uncount(have[3])
      stripped = stripped + 1
    end
  end
end
return {stripped, running}
