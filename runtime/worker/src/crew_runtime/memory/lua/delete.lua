-- Delete those of the records that lie below a root, and log it. Answers how many there were.
-- KEYS: memory_ids, memory_log, revision (a counter), mortal (ids that an older version let expire).
-- ARGV: records (prefix of their keys), log_length, roots (their number); then the roots, and the ids.
local roots, deleted = tonumber(ARGV[3]), 0
local function below(scope)
  for r = 4, 3 + roots do
    local root = ARGV[r]
    if scope == root or string.sub(scope, 1, #root + 1) == root .. '/' then return true end
  end
  return false
end
for at = 4 + roots, #ARGV do
  local id = ARGV[at]
  local key = ARGV[1] .. id
  local scope = redis.call('HGET', key, 'scope')
  if scope and below(scope) then
    redis.call('UNLINK', key)
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[4], id)
    local session = string.match(scope, '^/s/([^/]+)')
    if session then redis.call('SREM', string.sub(ARGV[1], 1, -3) .. 's:' .. session, id) end
    local revision = redis.call('INCR', KEYS[3])
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'o', 'd', 'i', id, 'r', revision)
    deleted = deleted + 1
  end
end
return deleted
