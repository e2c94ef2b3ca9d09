-- Puts an entry aside that Postgres will never take: those behind it go on.
-- ARGV: root, entry (its id), why. Returns 1 when it did.
local found = redis.call('XRANGE', history, ARGV[2], ARGV[2])
if #found == 0 then return 0 end
bury('history', ARGV[2], cjson.encode(found[1][2]), ARGV[3])
remove(ARGV[2])
return 1
