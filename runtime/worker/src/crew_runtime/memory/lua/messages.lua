-- Reads messages of a session, which is used by that.
-- KEYS: messages. ARGV: place (to begin at; 0: the newest), most, most_each (bytes), most_bytes (of all), session_ttl (ms;
-- 0: for ever).
-- Returns what read_messages does.
local found = read_messages(KEYS[1], tonumber(ARGV[1]), -1, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
if ARGV[5] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return found
