-- Write records and log it, all or none. Answers {number written, 1 when this fixed the store's dimension}.
-- KEYS: meta, ids, log, counter of revisions, ids of the session (or the same as ids)
-- ARGV: prefix of record keys, dimension (0: no vectors), length of the log, `save` or `update`, ms to live (0: for ever),
--       number of roots, the roots; then for each record: id, created, number of fields and values, these
-- `update` changes only what exists and lies below a root: a late one cannot bring a deleted record back.
local prefix, dimension, length, mode, ttl = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local fixed = 0
if dimension > 0 then
  local stored = redis.call('HGET', KEYS[1], 'dimension')
  if not stored then
    redis.call('HSET', KEYS[1], 'dimension', dimension, 'schema', 1)
    fixed = 1
  elseif tonumber(stored) ~= dimension then
    return redis.error_reply('DIMENSION ' .. stored)
  end
end
local roots = tonumber(ARGV[6])
local function below(scope)
  for r = 7, 6 + roots do
    local root = ARGV[r]
    if scope == root or string.sub(scope, 1, #root + 1) == root .. '/' then return true end
  end
  return false
end
local at, written = 7 + roots, 0
while ARGV[at] do
  local id, created, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local key, allowed = prefix .. id, true
  if mode == 'update' then
    local scope = redis.call('HGET', key, 'scope')
    allowed = scope and below(scope)
    if allowed then redis.call('HDEL', key, 'cat', 'md') end
  end
  if allowed then
    local revision = redis.call('INCR', KEYS[4])
    redis.call('HSET', key, 'rev', revision, unpack(ARGV, at + 3, at + 2 + count))
    redis.call('ZADD', KEYS[2], created, id)
    if ttl > 0 then
      redis.call('PEXPIRE', key, ttl)
      redis.call('SADD', KEYS[5], id)
      redis.call('PEXPIRE', KEYS[5], ttl)
    end
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', length, '*', 'o', 'p', 'i', id, 'r', revision)
    written = written + 1
  end
  at = at + 3 + count
end
return {written, fixed}
