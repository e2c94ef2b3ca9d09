-- Erases some of what has ended, when nobody uses a memory. Called until nothing is left.
-- KEYS: meta, memory_ids (all), memory_log, revision (a counter), sessions (all), idle (sessions by their last use), mortal
--       (ids that an older version let expire).
-- ARGV: root, ttl (ms), log_length, most (records at once).
-- Answers {records erased, whether there may be more}. Of another time to live than the last use said nothing is erased:
-- one of the two is about to change.
local ttl = tonumber(ARGV[2])
local known, since = unpack(redis.call('HMGET', KEYS[1], 'session_ttl', 'session_ttl_since'))
if tonumber(known or 0) ~= ttl then return {0, 0} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local most = tonumber(ARGV[4])
local at = {root = ARGV[1], ids = KEYS[2], log = KEYS[3], revision = KEYS[4], sessions = KEYS[5], idle = KEYS[6],
            mortal = KEYS[7], now = now, ttl = ttl, since = since, length = ARGV[3], left = most}
local more = sweep(at, 20)
return {most - at.left, more and 1 or 0}
