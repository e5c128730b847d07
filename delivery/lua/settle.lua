#!lua flags=allow-oom
-- settle: this device has these entries.
-- RETURNS number of entries that left
local mailbox = KEYS[1] -- stream
local tally = KEYS[2] -- hash
local dead_letters = KEYS[3] -- hash
local dedupe = KEYS[4] -- hash
local dedupe_before = KEYS[5] -- hash
local device = ARGV[1]
local settled_count = tonumber(ARGV[2]) -- number of streamIds
-- ARGV[3..]: streamIds, then sender, chats, bytes of each sender of them
--@use _settle
local keys = {
  mailbox = mailbox,
  tally = tally,
  dead_letters = dead_letters,
  dedupe = dedupe,
  dedupe_before = dedupe_before,
}
local last_settled = 2 + settled_count
local left = settle(keys, device, {unpack(ARGV, 3, last_settled)}, {unpack(ARGV, last_settled + 1)})
return left
