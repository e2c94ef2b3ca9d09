-- Takes what was said in a session out of what still waits, and has it taken out of Postgres: called until nothing is left.
-- ARGV: root, session, after (the id that the last call ended with, or '-'), most (entries to look at), budget (bytes that
-- may wait), counts (of what was erased, JSON).
-- Returns the id to go on with; '' when all was looked at, and the erasure itself is written.
local CONTENT = ' session_id error inputs meta result extra omitted size question answer said answered '
local from = ARGV[3] == '-' and '-' or '(' .. ARGV[3]
local found = redis.call('XRANGE', history, from, '+', 'COUNT', ARGV[4])
for _, entry in ipairs(found) do
  if value(entry[2], 'session_id') == ARGV[2] and value(entry[2], 'kind') ~= 'erasure' then
    local kept = {'erased_at', tostring(now_ms())}
    for i = 1, #entry[2], 2 do
      if not string.find(CONTENT, ' ' .. entry[2][i] .. ' ', 1, true) then
        kept[#kept + 1], kept[#kept + 2] = entry[2][i], entry[2][i + 1]
      end
    end
    remove(entry[1])
    note(ARGV[5], kept)
  end
end
if #found == tonumber(ARGV[4]) then return found[#found][1] end
-- It has to come to Postgres however much waits.
note('9007199254740992', {'kind', 'erasure', 'session_id', ARGV[2], 'erased_at', tostring(now_ms()), 'counts', ARGV[6]})
return ''
