-- Ends a kickoff that runs, waits or asks; the first who comes wins.
-- ARGV: root, id, owner ('' for anyone, who may then not create it), attempt, end_id, status, ttl (s), gone ('1': its
-- process has nothing more to say; else `settle` tells when), session, segment (the session's), said (by the user, as an
-- element of the session's messages), answered (by the crew, the same; '': neither is kept), most_messages, session_ttl
-- (ms that an unused session lives, 0: for ever); then field, value of each field.
-- Returns {1, status} when this call (or an earlier try of it) ended it, else {0, what it is; 'fenced' when another server
-- or attempt has it; '' when it is not there}.
local id, owner, attempt, end_id, status = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local session, segment, said, answered, session_ttl = ARGV[9], ARGV[10], ARGV[11], ARGV[12], tonumber(ARGV[14])
-- How many of the newest messages are looked at for the kickoff's own.
local RECENT = 10

-- Notes that a session was used, as a memory's use does (`use.lua` of the worker half): it is listed, and ends, by that. One
-- that has ended with memories that are not erased yet stays as it is: nothing may bring these back.
local function note_use()
  local now, key = now_ms(), root .. 'session:' .. segment
  local known, since = unpack(redis.call('HMGET', root .. 'meta', 'session_ttl', 'session_ttl_since'))
  if tonumber(known or 0) ~= session_ttl then
    since = now
    redis.call('HSET', root .. 'meta', 'session_ttl', session_ttl, 'session_ttl_since', since)
  end
  local last = redis.call('HGET', key, 'last')
  local ended = session_ttl > 0 and last and math.max(tonumber(last), tonumber(since or 0)) + session_ttl < now
  if ended and redis.call('EXISTS', root .. 's:' .. segment) == 1 then return end
  if redis.call('HSETNX', key, 'first', now) == 1 then redis.call('ZADD', root .. 'sessions', now, segment) end
  redis.call('HSET', key, 'last', now)
  redis.call('ZADD', root .. 'idle', now, segment)
end

-- Adds the kickoff's turn to its session's messages, unless it is there: a Redis that came back without a kickoff's end may
-- have its turn. Inside of a text a quote has a backslash, so nobody's text is taken for an id.
local function remember()
  local list, known = root .. 'message_store:' .. session, '"id": "' .. id .. ':ai"'
  for _, one in ipairs(redis.call('LRANGE', list, 0, RECENT - 1)) do
    if string.find(one, known, 1, true) then return end
  end
  redis.call('LPUSH', list, said, answered)
  redis.call('LTRIM', list, 0, ARGV[13] - 1)
  if session_ttl == 0 then redis.call('PERSIST', list) else redis.call('PEXPIRE', list, session_ttl) end
  note_use()
end

local have = redis.call('HMGET', run_key(id), 'status', 'owner', 'attempt', 'end')
if not have[1] and owner == '' then return {0, ''} end
if have[1] and has_ended(have[1]) then
  if have[4] == end_id then return {1, have[1]} end
  return {0, have[1]}
end
-- An attempt that is younger than the stored one is the truth: Redis came back with an older state.
if have[1] and owner ~= '' and tonumber(have[3]) >= attempt and (have[2] ~= owner or tonumber(have[3]) ~= attempt) then
  return {0, 'fenced'}
end
put(id, 15)
if owner ~= '' then
  redis.call('HSET', run_key(id), 'kickoff_id', id, 'session_id', session, 'owner', owner, 'attempt', attempt)
  redis.call('ZADD', runs_key(session), 'NX', now_ms(), id)
end
if answered ~= '' then
  -- Messages that something else lies in the place of must not keep the kickoff from its end.
  local _, why = try(remember)
  if why then bury('messages', session, answered, why) end
  local budget = redis.call('HGET', run_key(id), 'history')
  if budget then
    note(budget, {'kind', 'turn', 'kickoff_id', id, 'session_id', session, 'said', said, 'answered', answered,
      'at', string.format('%.0f', now_ms())})
  end
end
conclude(id, end_id, status, ARGV[7])
if ARGV[8] == '1' or not redis.call('ZSCORE', leases, id) then leave(id) end
return {1, status}
