-- Lets one server at a time write what waits: the oldest entries, which stay until they are settled.
-- ARGV: root, shipper (a token), lease (ms), most (entries), most_bytes (after which no more are added).
-- Returns {whether this one writes (1 or 0), how many wait, ms that the oldest has waited, their bytes, how many were not
-- kept, ms since the last of these, {id, {field, value, ...}}, ...}.
local holder = redis.call('GET', history_shipper)
local mine = not holder or holder == ARGV[2]
if mine then
  -- A Redis that is full refuses a script whose first write takes room, and what waits could never leave it.
  redis.call('DEL', history_shipper)
  redis.call('SET', history_shipper, ARGV[2], 'PX', ARGV[3])
end
local now, took, bytes, from = now_ms(), {}, 0, '-'
local first = redis.call('XRANGE', history, '-', '+', 'COUNT', 1)
local age = #first > 0 and math.max(0, now - tonumber(string.match(first[1][1], '^%d+'))) or 0
while mine and #took < tonumber(ARGV[4]) and bytes < tonumber(ARGV[5]) do
  local found = redis.call('XRANGE', history, from, '+', 'COUNT', 1)
  if #found == 0 then break end
  took[#took + 1] = found[1]
  bytes = bytes + (tonumber(value(found[1][2], 'size')) or 0)
  from = '(' .. found[1][1]
end
local lost = redis.call('HMGET', history_lost, 'count', 'at')
return {mine and 1 or 0, redis.call('XLEN', history), age, tonumber(redis.call('GET', history_bytes) or '0'),
  tonumber(lost[1] or '0'), lost[2] and now - tonumber(lost[2]) or 0, unpack(took)}
