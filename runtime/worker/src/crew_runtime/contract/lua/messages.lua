-- Reads a part of a list of messages; in front of the scripts of both halves that do.
-- Places are counted from the oldest message, which is 1: new ones move none. At `from` (0: the newest) it begins, and
-- goes on by `step`, -1 or 1. An element longer than `most_each` bytes is answered as an empty one. It ends before it has
-- more than `most_bytes`, or after `count`.
-- Returns {how many there are, place to go on at (0: nowhere), elements...}. What is no list has no messages.
local function read_messages(key, from, step, count, most_each, most_bytes)
  local length = redis.pcall('LLEN', key)
  if type(length) == 'table' then
    if string.find(length.err, 'WRONGTYPE', 1, true) then return {0, 0} end
    return length
  end
  local place = from
  if step < 0 and (place == 0 or place > length) then place = length end
  local found, bytes = {length, 0}, 0
  while place > 0 and place <= length and #found < count + 2 do
    local one = redis.call('LINDEX', key, -place)
    if #one > most_each then one = '' end
    bytes = bytes + #one
    if bytes > most_bytes and #found > 2 then break end
    table.insert(found, one)
    place = place + step
  end
  if place > 0 and place <= length then found[2] = place end
  return found
end
