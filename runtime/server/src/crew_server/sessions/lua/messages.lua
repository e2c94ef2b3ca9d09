-- A page of a session's messages.
-- KEYS: messages. ARGV: place (to begin at; 0: the newest), step, most, most_each (bytes), most_bytes (of all).
-- Returns what read_messages does.
return read_messages(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
