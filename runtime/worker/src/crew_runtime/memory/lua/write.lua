-- Write records and log it, all or none. Answers {number written, 1 when this fixed the store's dimension}.
-- KEYS: meta, memory_ids, memory_log, revision (a counter), mortal (ids that an older version let expire),
--       session_records (from here on of a session's records only: their ids), session, sessions (all), idle (sessions by
--       their last use), session_erased (mark of its erasure).
-- ARGV: records (prefix of their keys), dimension (0: no vectors), vector_type, log_length, mode (`save`, `bring` or `update`), mark
--       (that the writer saw when its work began), roots (their number); then the roots, and id, created, digest, number
--       of fields and values, these of each record.
-- Both touch only what lies below a root; `update` only what exists: a late one cannot bring a deleted record back.
-- `save` leaves out what another saved under another id since TWIN_MS: CrewAI looks for duplicates before it asks its LLM
-- how to file a record, and two processes that do so at once see nothing of each other. `bring` leaves out nothing: what
-- comes from another store was filed there.
local TWIN_MS = 30000
local prefix, dimension, kept, length = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local roots, update, bring, fixed = tonumber(ARGV[7]), ARGV[5] == 'update', ARGV[5] == 'bring', 0
local first, session = 8 + roots, KEYS[6]
if session then
  -- The session was erased after the writer's work began: what it knows has to be forgotten too.
  local mark = redis.call('GET', KEYS[10])
  if mark and mark ~= ARGV[6] then return redis.error_reply('ERASED') end
end
if dimension > 0 then
  local stored, as = unpack(redis.call('HMGET', KEYS[1], 'dimension', 'vector'))
  if not stored then
    fixed = 1
  elseif tonumber(stored) ~= dimension then
    return redis.error_reply('DIMENSION ' .. stored)
  elseif (as or 'FLOAT32') ~= kept then
    return redis.error_reply('VECTOR')
  end
end
local function below(scope)
  for r = 8, 7 + roots do
    local root = ARGV[r]
    if scope == root or string.sub(scope, 1, #root + 1) == root .. '/' then return true end
  end
  return false
end
local existing, at = {}, first
while ARGV[at] do
  local scope = redis.call('HGET', prefix .. ARGV[at], 'scope')
  if scope then
    if not below(scope) then return redis.error_reply('FOREIGN ' .. ARGV[at]) end
    existing[ARGV[at]] = scope
  end
  at = at + 4 + tonumber(ARGV[at + 3])
end
if fixed == 1 then redis.call('HSET', KEYS[1], 'dimension', dimension, 'vector', kept, 'schema', 1) end
local written, now = 0, 0
if session then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- Whether another record says the same, and still does; if none does, from now on this one.
local function twin(id, digest)
  local key = string.sub(prefix, 1, -3) .. 'twin:' .. digest
  local other = redis.call('GET', key)
  if other and other ~= id and redis.call('HGET', prefix .. other, 'dg') == digest then return true end
  redis.call('SET', key, id, 'PX', TWIN_MS)
  return false
end
at = first
while ARGV[at] do
  local id, created, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
  local key, there = prefix .. id, existing[id]
  if there or bring or (not update and not twin(id, ARGV[at + 2])) then
    if there and not update then redis.call('HDEL', key, 'cats', 'cat', 'md') end
    if there and bring then redis.call('HDEL', key, 'v') end
    local revision = redis.call('INCR', KEYS[4])
    redis.call('HSET', key, 'rev', revision, 'dg', ARGV[at + 2], unpack(ARGV, at + 4, at + 3 + count))
    redis.call('ZADD', KEYS[2], created, id)
    redis.call('PERSIST', key)
    redis.call('ZREM', KEYS[5], id)
    if session then redis.call('SADD', session, id) end
    local left = there and string.match(there, '^/s/([^/]*)')
    if left and string.sub(redis.call('HGET', key, 'scope'), 1, 3) ~= '/s/' then
      -- Shared by the crew's own code: no session's end or erasure takes it from the others.
      redis.call('SREM', string.sub(prefix, 1, -3) .. 's:' .. left, id)
    end
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', length, '*', 'o', 'p', 'i', id, 'r', revision)
    written = written + 1
  end
  at = at + 4 + count
end
if session and written > 0 then
  local segment = string.match(session, '}:s:(.*)$')
  if redis.call('HSETNX', KEYS[7], 'first', now) == 1 then redis.call('ZADD', KEYS[8], now, segment) end
  redis.call('HSET', KEYS[7], 'last', now)
  redis.call('ZADD', KEYS[9], now, segment)
  redis.call('PERSIST', session)
  redis.call('PERSIST', KEYS[7])
end
return {written, fixed}
