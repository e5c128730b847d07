#!lua flags=allow-oom
-- drop_waiting: what waits for somebody who has left their number goes, a part at a time. A chat whose sender was not
-- surely told what became of it becomes a shadow entry, as if it expired. When all are, the shadow entries are returned,
-- and go when their senders were told. If the number has another owner by now, nothing is done.
-- RETURNS {verdict: taken | more | shadowed, {{id, sender, messageId, streamId of the chat}, ...} of shadow entries}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local shadows = KEYS[3] -- stream
local tally = KEYS[4] -- hash
local entry_states = KEYS[5] -- hash
local dedupe = KEYS[6] -- hash
local dedupe_before = KEYS[7] -- hash
local account_id = ARGV[1]
local most = ARGV[2] -- most entries to work on, or to return
local after = ARGV[3] -- id of a shadow entry: those behind it are returned
-- ARGV[4..]: ids of shadow entries whose senders were told
--@use _owner
--@use _shadow
--@use _stored_entries
if is_taken(user, account_id) then return {'taken', {}} end
for i = 4, #ARGV do redis.call('XDEL', shadows, ARGV[i]) end

local keys = {tally = tally, entry_states = entry_states, dedupe = dedupe, dedupe_before = dedupe_before}
for _, entry in ipairs(redis.call('XRANGE', mailbox, '-', '+', 'COUNT', most)) do
  local id, values = entry[1], entry[2]
  if values[ENTRY_KIND] == CHAT then make_shadow(keys, shadows, id, values) end
  redis.call('XDEL', mailbox, id)
end
if redis.call('XLEN', mailbox) > 0 then return {'more', {}} end

local found = {}
for _, entry in ipairs(redis.call('XRANGE', shadows, '(' .. after, '+', 'COUNT', most)) do
  local id, values = entry[1], entry[2]
  local chat_id = values[SHADOW_OF_CHAT_CHAT_ID] or id
  found[#found + 1] = {id, values[SHADOW_SENDER], values[SHADOW_MESSAGE_ID], chat_id}
end
return {'shadowed', found}
