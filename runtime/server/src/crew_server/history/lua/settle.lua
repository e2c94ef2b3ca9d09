-- Entries are in Postgres, or a server that writes ends.
-- ARGV: root, shipper (whose turn ends; '' when it goes on); then the ids.
-- Returns how many were there.
local gone = 0
for i = 3, #ARGV do
  if remove(ARGV[i]) then gone = gone + 1 end
end
if ARGV[2] ~= '' and redis.call('GET', history_shipper) == ARGV[2] then redis.call('DEL', history_shipper) end
return gone
