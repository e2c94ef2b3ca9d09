-- Takes what was said in a session out of what still waits, and has it taken out of Postgres: called until nothing is left.
-- ARGV: root, session, after (the id that the last call ended with, or '-'), most (entries to look at), budget (bytes that
-- may wait), counts (of what was erased, JSON), writes ('1': the crew has a durable history, as far as this server knows).
-- Returns the id to go on with; '' when all was looked at, and the erasure itself is written.
local CONTENT = ' session_id error inputs meta result extra omitted size question answer said answered '
-- What is left of an entry takes the room that it had, and an erasure has to come to Postgres however much waits.
local MUCH = '9007199254740992'
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
    note(MUCH, kept)
  end
end
if #found == tonumber(ARGV[4]) then return found[#found][1] end
-- Where there was a history before, or another server has one by now, Postgres may have something of the session. Nobody may
-- ever come to write that, so it is kept within the budget.
if ARGV[7] == '1' or redis.call('EXISTS', history) == 1 then
  local budget = ARGV[7] == '1' and MUCH or ARGV[5]
  note(budget, {'kind', 'erasure', 'session_id', ARGV[2], 'erased_at', tostring(now_ms()), 'counts', ARGV[6]})
end
return ''
