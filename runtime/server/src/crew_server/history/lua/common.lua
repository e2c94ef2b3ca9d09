-- What the scripts of the durable history's outbox share; `outbox.py` puts it before each of them, behind `kickoffs.lua`.
-- KEYS: history, history_bytes, history_lost, history_shipper.
local history, history_bytes, history_lost, history_shipper = unpack(KEYS)

local function value(entry, wanted)
  for i = 1, #entry, 2 do
    if entry[i] == wanted then return entry[i + 1] end
  end
  return nil -- and not no value at all, which tonumber refuses
end

-- Takes an entry away, and out of what waits. Whether it was there. The stream stays when it is empty, or an id could come
-- a second time, and be settled by who had the first.
local function remove(id)
  local found = redis.call('XRANGE', history, id, id)
  if #found == 0 or redis.call('XDEL', history, id) == 0 then return false end
  redis.call('DECRBY', history_bytes, tonumber(value(found[1][2], 'size')) or 0)
  if redis.call('XLEN', history) == 0 then redis.call('DEL', history_bytes) end
  return true
end
