-- Fix what vectors a store holds, when it holds none yet.
-- KEYS: meta. ARGV: dimension, vector_type, schema.
if redis.call('HEXISTS', KEYS[1], 'dimension') == 0 then
  redis.call('HSET', KEYS[1], 'dimension', ARGV[1], 'vector', ARGV[2])
end
redis.call('HSET', KEYS[1], 'schema', ARGV[3])
