-- Gives a server the next kickoff: first of those that were handed back, else of those that never started.
-- ARGV: root, owner, replica, token (of this claim: asking again with it gives the same), claim (the key to keep it by),
-- lease (ms), noted ('1': this server has a durable history).
-- Returns {its id, its fields {field, value, ...}}; {} when there is none. One that cannot be read is put aside.
local owner, token, kept = ARGV[2], ARGV[4], ARGV[5]
local last = redis.call('HMGET', kept, 'token', 'id')
if last[1] == token then
  local have = redis.call('HMGET', run_key(last[2]), 'status', 'owner', 'claim')
  if have[1] == 'running' and have[2] == owner and have[3] == token then
    return {last[2], redis.call('HGETALL', run_key(last[2]))}
  end
end
for _, stream in ipairs({handed_back, queue}) do
  local found = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
  while #found > 0 do
    local id, entry = found[1][2][2], found[1][1]
    redis.call('XDEL', stream, entry)
    local given = guarded(id, function()
      local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'entry')
      if have[1] ~= 'running' or have[2] or have[3] ~= entry then return nil end
      redis.call('HSET', kept, 'token', token, 'id', id)
      redis.call('EXPIRE', kept, 60)
      -- Its end would wait for somebody to write it, and nobody may.
      if ARGV[7] ~= '1' then drop(id, 'history', 'made_by') end
      return give(id, owner, ARGV[3], token, ARGV[6])
    end)
    if given then return {id, given} end
    found = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
  end
end
return {}
