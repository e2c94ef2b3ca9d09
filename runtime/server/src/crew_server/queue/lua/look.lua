-- Ends kickoffs that nobody answered in time, and takes those over whose server is gone: its lease has run out, was seen so, and was not renewed within the suspicion.
-- Two looks, because while Redis itself was away nobody could renew.
-- ARGV: root, suspicion (ms), rule ('Retry' or 'Fail'), most_losses, ttl (s), end_of_loss (fields of the end when it
-- fails, JSON), end_of_losses (the same after too many losses), end_of_unanswered (the same when nobody answered).
-- Returns {how many wait, since when the longest does (ms ago), how many could not be read, bytes of all kickoffs, {id, what became of it, attempt, replica, session}, ...}.
local FORGET = 5000 -- ms; somebody looks twice a second, so an older suspicion is from before an outage of Redis
local now = now_ms()
local took = {}
sweep(now)

local function leased(id)
  local run = run_key(id)
  local have = redis.call('HMGET', run, 'status', 'suspect', 'attempt', 'replica', 'session_id')
  if have[1] ~= 'running' then
    -- It has ended, and who ran it did not live to say that its process is gone.
    leave(id)
  elseif not have[2] or now - have[2] > ARGV[2] + FORGET then
    redis.call('HSET', run, 'suspect', now)
  elseif now - have[2] >= tonumber(ARGV[2]) then
    local what = 'failed'
    local end_id = 'lost-' .. have[3]
    if ARGV[3] == 'Retry' then
      what = lose(id, ARGV[4], end_id, ARGV[5], ARGV[7])
    else
      set_all(id, ARGV[6])
      conclude(id, end_id, 'error', ARGV[5])
      leave(id)
    end
    took[#took + 1] = {id, what, have[3], have[4] or '', have[5] or ''}
  end
end

local function asked(id)
  local have = redis.call('HMGET', run_key(id), 'status', 'attempt', 'session_id')
  if have[1] == PENDING then
    set_all(id, ARGV[8])
    conclude(id, 'unanswered-' .. have[2], 'timeout', ARGV[5])
    leave(id)
    took[#took + 1] = {id, 'unanswered', have[2], '', have[3] or ''}
  else
    redis.call('ZREM', pending, id)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 1000)) do
  guarded(id, function() leased(id) end)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', pending, '-inf', now, 'LIMIT', 0, 1000)) do
  guarded(id, function() asked(id) end)
end
local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
local age = first[2] and now - first[2] or 0
local dead = redis.pcall('XLEN', root .. 'dead')
return {redis.call('ZCARD', waiting), age, type(dead) == 'number' and dead or 0,
  tonumber(redis.call('GET', total) or '0'), unpack(took)}
