#!lua flags=allow-oom
-- settle: this device has these entries.
-- RETURNS number of entries that left
local mailbox = KEYS[1] -- stream
local tally = KEYS[2] -- hash
local entry_states = KEYS[3] -- hash
local dedupe = KEYS[4] -- hash
local dedupe_before = KEYS[5] -- hash
local device = ARGV[1]
local settled_count = tonumber(ARGV[2]) -- number of streamIds
-- ARGV[3..]: streamIds, then sender, chats, bytes of each sender of them
--@use _settle_alone
if settled_count == 0 then return 0 end
local last = 2 + settled_count
if settle_alone(mailbox, tally, entry_states, device, ARGV, 3, last) then return settled_count end
--@use _mailbox
--@use _settle
local keys = {
  mailbox = mailbox,
  tally = tally,
  entry_states = entry_states,
  dedupe = dedupe,
  dedupe_before = dedupe_before,
}
return settle_each(keys, groups_of(mailbox), device, {unpack(ARGV, 3, last)})
