-- Reads a kickoff, and ends it when nobody runs it any more: its lease has run out, was seen so, and was not renewed
-- within the suspicion. Two looks, because while Redis itself was away nobody could renew.
-- KEYS: run. ARGV: suspicion (ms), ttl (s), then field, value, ... of the end.
-- Returns {now (ms), field, value, ...}; only {now} when there is no such kickoff.
local run = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local have = redis.call('HMGET', run, 'status', 'lease', 'suspect')
if have[1] == 'running' and tonumber(have[2] or '0') < now then
  if not have[3] then
    redis.call('HSET', run, 'suspect', now)
  elseif now - tonumber(have[3]) >= tonumber(ARGV[1]) then
    for i = 3, #ARGV, 2 do redis.call('HSET', run, ARGV[i], ARGV[i + 1]) end
    redis.call('HSET', run, 'ended_at', have[2] or now)
    redis.call('HDEL', run, 'lease', 'suspect')
    redis.call('EXPIRE', run, ARGV[2])
  end
end
local fields = redis.call('HGETALL', run)
table.insert(fields, 1, now)
return fields
