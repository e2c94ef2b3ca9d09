-- What all scripts know of a kickoff: those of the queue, of the webhooks and of the sessions have it in front.
-- ARGV[1]: what the keys of kickoffs and sessions begin with.
local root = ARGV[1]
local PENDING = 'pending_human_input'
local DEAD_KEPT, DEAD_TTL = 1000, 7 * 24 * 3600
local sizes, total = root .. 'kickoffs:bytes', root .. 'kickoffs:total'

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function run_key(id) return root .. 'run:' .. id end

local function runs_key(session) return root .. 'runs:' .. session end

local function events_key(id) return root .. 'ev:' .. id end

local function hook_key(id, channel) return root .. 'hook:' .. id .. ':' .. channel end

-- Field of a kickoff: bytes that wait for one of its webhooks.
local function waits_field(channel) return 'waits:' .. channel end

-- Bytes that a delivery counts for while it waits.
local function hook_size(delivery) return #delivery + 8 end

local function has_ended(status) return status ~= 'running' and status ~= PENDING end

-- Counts what a kickoff makes Redis keep; negative for what is kept no more. One that was never counted stays so.
local function charge(id, bytes)
  if bytes < 0 then bytes = -math.min(-bytes, tonumber(redis.call('HGET', sizes, id) or '0')) end
  if bytes == 0 then return end
  redis.call('HINCRBY', sizes, id, bytes)
  redis.call('INCRBY', total, bytes)
end

-- Takes a kickoff out of the count.
local function uncount(id)
  local bytes = redis.call('HGET', sizes, id)
  if bytes then redis.call('DECRBY', total, bytes) end
  redis.call('HDEL', sizes, id)
end

-- What its receivers know their sender by is not needed once a kickoff has ended and all is delivered. What cannot be read
-- of it delivers nothing.
local function forget_credentials(id)
  local have = redis.call('HMGET', run_key(id), 'status', 'hooks')
  if not have[2] or not has_ended(have[1]) then return end
  local read, wanted = pcall(cjson.decode, have[2])
  if not read or type(wanted) ~= 'table' then
    redis.call('HDEL', run_key(id), 'hooks')
    return
  end
  local held = false
  for channel, hook in pairs(wanted) do
    local waiting = redis.pcall('LLEN', hook_key(id, channel))
    if type(waiting) == 'number' and waiting > 0 then return end
    if type(hook) ~= 'table' then
      held, wanted[channel] = true, nil
    else
      held = held or hook.authentication ~= nil
      hook.authentication = nil
    end
  end
  if held then redis.call('HSET', run_key(id), 'hooks', cjson.encode(wanted)) end
end

-- Keeps aside, for a person to look at, what cannot be read.
local function bury(kind, name, raw, why)
  redis.pcall('XADD', root .. 'dead', 'MAXLEN', '~', DEAD_KEPT, '*', 'kind', kind, 'name', name, 'raw',
    string.sub(raw, 1, 4096), 'why', why)
  redis.pcall('EXPIRE', root .. 'dead', DEAD_TTL)
end

-- Does something: returns what came of it, or nil and the text of an error that means that something stored is not what
-- it has to be. Any other error goes on, such as that of a Redis that is full or takes no writes.
local function try(act)
  local done, found = pcall(act)
  if done then return found end
  local text = type(found) == 'table' and tostring(found.err) or tostring(found)
  for _, sign in ipairs({'WRONGTYPE', 'attempt to', 'bad argument', 'not an integer', 'not a valid float', 'Expected',
    'arguments must be'}) do
    if string.find(text, sign, 1, true) then return nil, text end
  end
  error(found)
end

-- Bytes that an entry of the durable history's outbox counts for beside its texts, and the longest text in one.
local HISTORY_OVERHEAD, HISTORY_TEXT = 512, 1048576
local history_total = root .. 'history:bytes'

-- Puts something into the outbox of the durable history: {field, value, ...}. A text that is too long is left out, and how
-- long it is told. Beyond `budget` bytes nothing is taken, which is counted. What lies in the outbox's place keeps nothing
-- else from being done.
local function note(budget, fields)
  local _, why = try(function()
    local size, omitted, kept = HISTORY_OVERHEAD, {}, {}
    for i = 1, #fields, 2 do
      local text = tostring(fields[i + 1])
      if #text > HISTORY_TEXT then
        omitted[fields[i]] = #text
      else
        kept[#kept + 1], kept[#kept + 2] = fields[i], text
        size = size + #text
      end
    end
    if next(omitted) then kept[#kept + 1], kept[#kept + 2] = 'omitted', cjson.encode(omitted) end
    local waits = tonumber(redis.call('GET', history_total) or '0')
    if waits + size > tonumber(budget) then
      redis.call('HINCRBY', root .. 'history:lost', 'count', 1)
      redis.call('HSET', root .. 'history:lost', 'at', now_ms())
      return
    end
    redis.call('XADD', root .. 'history', '*', 'size', size, unpack(kept))
    redis.call('INCRBY', history_total, size)
  end)
  if why then bury('history', '', '', why) end
end
