-- A server's look at its kickoffs: renews their leases, stores their progress, brings back who ended them.
-- ARGV: root, owner, lease (ms), renew_below (when less is left, ms); then id, attempt, fields (a JSON object, or '') of
-- each kickoff.
-- Returns for each its status; 'fenced' when another server or attempt has it; '' when it is not there, or is older than
-- what the server has: Redis came back with an older state.
local now = now_ms()
local seen = {}
for i = 5, #ARGV, 3 do
  local id, attempt, patch = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'attempt')
  local status = have[1] or ''
  if status ~= '' and not has_ended(status) then
    if tonumber(have[3]) < attempt then
      status = ''
    elseif have[2] ~= ARGV[2] or tonumber(have[3]) ~= attempt then
      status = 'fenced'
    else
      if patch ~= '' then set_all(id, patch) end
      local lease = redis.call('ZSCORE', leases, id)
      if not lease or lease - now < tonumber(ARGV[4]) then
        redis.call('ZADD', leases, now + ARGV[3], id)
        redis.call('HDEL', run_key(id), 'suspect')
      end
    end
  end
  seen[#seen + 1] = status
end
return seen
