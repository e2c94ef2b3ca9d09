-- Note that records were recalled; those that are gone stay gone. No log: nothing searches by it.
-- KEYS: meta (so that a cluster knows the slot). ARGV: records (prefix of their keys), time; then the ids.
for at = 3, #ARGV do
  local key = ARGV[1] .. ARGV[at]
  if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'la', ARGV[2]) end
end
return 1
