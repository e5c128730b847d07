#!lua flags=no-writes
-- find_unacknowledged: of which of these chats that wait, or seem to, was the sender told nothing yet? A chat that one
-- of several devices has was told to be delivered, and whatever becomes of it later is no news. Of a chat that was
-- acknowledged and never settled it is not known: a server was about to tell the sender.
-- RETURNS {{messageId, ...} told nothing, {messageId, ...} perhaps told that they are delivered}
local dedupe = KEYS[1] -- hash
local dedupe_before = KEYS[2] -- hash
local sender = ARGV[1] -- mobile number
-- ARGV[2..]: messageIds
--@use _dedupe
local message_ids = {unpack(ARGV, 2)}
local fields, unacknowledged, unsure = record_fields(sender, message_ids), {}, {}
local found = find_records(dedupe, dedupe_before, fields)
for i, field in ipairs(fields) do
  local state = string.sub(found[field] or STORED, 1, 1)
  if RANK[state] == RANK[STORED] then unacknowledged[#unacknowledged + 1] = message_ids[i] end
  if state == ACKNOWLEDGED then unsure[#unsure + 1] = message_ids[i] end
end
return {unacknowledged, unsure}
