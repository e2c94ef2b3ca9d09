-- Which embedder a store's memories were made with: the first that is named, or while there are none, the last.
-- KEYS: meta, memory_ids. ARGV: embedder (`provider/model`).
if redis.call('ZCARD', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'embedder', ARGV[1])
else
  redis.call('HSETNX', KEYS[1], 'embedder', ARGV[1])
end
return redis.call('HGET', KEYS[1], 'embedder')
