-- The owner's look at its running kickoffs: renews their leases, stores their progress, brings back who ended them.
-- KEYS: runs. ARGV: owner, lease (ms), renew when less is left (ms), then for each run '' or a JSON object of fields.
-- Returns for each run its status; '' when it is not there, 'fenced' when it has another owner.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = {}
for i, run in ipairs(KEYS) do
  local have = redis.call('HMGET', run, 'status', 'owner', 'lease')
  local status = have[1] or ''
  if status == 'running' then
    if have[2] ~= ARGV[1] then
      status = 'fenced'
    else
      local patch = ARGV[3 + i]
      if patch ~= '' then
        for field, value in pairs(cjson.decode(patch)) do
          if value == 'NOW' then value = now end
          redis.call('HSET', run, field, value)
        end
      end
      if tonumber(have[3] or '0') - now < tonumber(ARGV[3]) then
        redis.call('HSET', run, 'lease', now + ARGV[2])
        redis.call('HDEL', run, 'suspect')
      end
    end
  end
  seen[i] = status
end
return seen
