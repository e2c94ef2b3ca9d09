-- Erases sessions that have ended, in steps; in front of the scripts of both halves that do.
-- A session ends when it was not used for the time to live, which the last use of any session said; it counts from when
-- it was said, so that nobody loses at once what was idle before.
-- `at`: root (of keys), ids, log, revision, sessions, idle, mortal (keys), now, ttl, since (ms), length (of the log),
-- left (how many records at most; counted down).
local function last_use(at, name)
  local root = at.root
  local last = redis.call('HGET', root .. 'session:' .. name, 'last')
  return last and math.max(tonumber(last), tonumber(at.since or 0))
end
local function forget(at, id)
  redis.call('ZREM', at.ids, id)
  redis.call('ZREM', at.mortal, id)
  redis.call('XADD', at.log, 'MAXLEN', '~', at.length, '*', 'o', 'd', 'i', id, 'r', redis.call('INCR', at.revision))
end
-- True when nothing is left of it.
local function erase(at, name)
  local root, own, ids = at.root, '/s/' .. name, {}
  if at.left > 0 then ids = redis.call('SPOP', root .. 's:' .. name, at.left) end
  at.left = at.left - #ids
  for _, id in ipairs(ids) do
    local scope = redis.call('HGET', root .. 'm:' .. id, 'scope')
    local mine = scope and (scope == own or string.sub(scope, 1, #own + 1) == own .. '/')
    if mine then redis.call('UNLINK', root .. 'm:' .. id) end
    if mine or not scope then forget(at, id) end
  end
  if redis.call('EXISTS', root .. 's:' .. name) == 1 then return false end
  redis.call('DEL', root .. 'session:' .. name)
  redis.call('ZREM', at.sessions, name)
  redis.call('ZREM', at.idle, name)
  return true
end
-- Some of those that have ended; true when more may have.
local function sweep(at, most)
  local names = redis.call('ZRANGEBYSCORE', at.idle, '-inf', at.now - at.ttl, 'LIMIT', 0, most)
  for _, name in ipairs(names) do
    local used = last_use(at, name)
    if used and used + at.ttl >= at.now then
      redis.call('ZADD', at.idle, used, name)
    elseif at.left <= 0 or not erase(at, name) then
      return true
    end
  end
  return #names == most
end
