-- A page of sessions, newest first by their first use, which never changes: a page neither repeats nor skips one.
-- One that has ended and is not erased yet is left out.
-- KEYS: sessions (all), meta. ARGV: root, most, after (`first:segment` of the last one seen, or '').
-- Returns {whether there are more, then for each: segment, first (ms), last (ms), ms to live (-1: for ever), records}.
local root, wanted, start = ARGV[1], tonumber(ARGV[2]), 0
local first, segment = string.match(ARGV[3], '^(%d+):(.*)$')
if first then
  local rank = redis.call('ZREVRANK', KEYS[1], segment)
  if rank and tonumber(redis.call('ZSCORE', KEYS[1], segment)) == tonumber(first) then
    start = rank + 1
  else -- erased or expired meanwhile
    start = redis.call('ZCOUNT', KEYS[1], '(' .. first, '+inf')
  end
end
local found, gone = {0}, {}
local ttl, since = unpack(redis.call('HMGET', KEYS[2], 'session_ttl', 'session_ttl_since'))
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
ttl, since = tonumber(ttl or 0), tonumber(since or 0)
local function left(last)
  if ttl == 0 then return -1 end
  return math.max(0, math.max(tonumber(last), since) + ttl - now)
end
-- Twice as many are looked at, no more: a long run of expired ones must not keep other clients waiting.
local looked = redis.call('ZREVRANGE', KEYS[1], start, start + 2 * wanted)
local count = 0
for _, name in ipairs(looked) do
  if count == wanted then
    found[1] = 1
    break
  end
  local uses = redis.call('HMGET', root .. 'session:' .. name, 'first', 'last')
  if uses[1] then
    local last = uses[2] or uses[1]
    local ms = left(last)
    if ms ~= 0 then
      count = count + 1
      for _, value in ipairs({name, uses[1], last, ms, redis.call('SCARD', root .. 's:' .. name)}) do
        table.insert(found, value)
      end
    end
  else
    table.insert(gone, name)
  end
end
if #looked > 2 * wanted then found[1] = 1 end
for _, name in ipairs(gone) do redis.call('ZREM', KEYS[1], name) end
return found
