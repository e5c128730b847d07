#!lua flags=no-writes
-- untold: of which of these chats that wait, or seem to, was the sender told nothing yet? A chat that one of several
-- devices has is delivered to him, and whatever becomes of it later is no news. Of one that was acked and never
-- settled it is not known: somebody was about to tell him.
-- KEYS[1] records KEYS[2] records before
-- ARGV[1] sender ARGV[2..] messageIds
-- RETURNS {{messageId, ...} told nothing, {messageId, ...} perhaps told that they are delivered}
--@use _clock
--@use _seen
local fields, untold, unsure = {}, {}, {}
for i = 2, #ARGV do fields[#fields + 1] = record_field(ARGV[1], ARGV[i]) end
local found = find_records(KEYS[1], KEYS[2], fields)
for i, field in ipairs(fields) do
  local state = string.sub(found[field] or 's', 1, 1)
  if RANK[state] == RANK.s then untold[#untold + 1] = ARGV[i + 1] end
  if state == 'a' then unsure[#unsure + 1] = ARGV[i + 1] end
end
return {untold, unsure}
