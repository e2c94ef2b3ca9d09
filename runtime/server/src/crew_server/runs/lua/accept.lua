-- Writes a new kickoff, once. KEYS: run. ARGV: ttl (s), lease (ms), then field, value, ...
-- Returns 1 when it was written, 0 when it was there.
local run = KEYS[1]
if redis.call('EXISTS', run) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', run, 'status', 'running', 'created_at', now, 'lease', now + ARGV[2], unpack(ARGV, 3))
redis.call('EXPIRE', run, ARGV[1])
return 1
