#!lua flags=allow-oom
-- mark_read: these chats are read, and settled if they still wait. Nothing happens to the chats of a sender who is
-- blocked by now: they get no receipt, so their chats must not count as read. The other devices of this person are told
-- what was read that was not before.
-- RETURNS {{streamId of each, ...}, streamId of what the other devices are told or '',
--   {serverId of each other live connection}}
local mailbox = KEYS[1] -- stream
local tally = KEYS[2] -- hash
local entry_states = KEYS[3] -- hash
local dedupe = KEYS[4] -- hash
local dedupe_before = KEYS[5] -- hash
local blocks = KEYS[6] -- set
local user = KEYS[7] -- hash
local leases = KEYS[8] -- hash
local device = ARGV[1]
local sender = ARGV[2] -- mobile number
local own_server = ARGV[3] -- serverId of the caller
local mobile = ARGV[4] -- of the owner of the mailbox
-- ARGV[5..]: messageIds
--@use _stored_entries
--@use _mailbox
--@use _dedupe
--@use _settle
if redis.call('SISMEMBER', blocks, sender) == 1 then return {{}, '', {}} end
local keys = {
  mailbox = mailbox,
  tally = tally,
  entry_states = entry_states,
  dedupe = dedupe,
  dedupe_before = dedupe_before,
}
local fields = record_fields(sender, {unpack(ARGV, 5)})
local found, where = find_records(dedupe, dedupe_before, fields)
local ids, news = {}, {}
for i, field in ipairs(fields) do
  local record = found[field]
  local state = record and string.sub(record, 1, 1)
  if record and state ~= SHADOWED then
    if state ~= READ then
      redis.call('HSET', where[field], field, advance_state(record, READ))
      news[#news + 1] = ARGV[4 + i]
    end
    ids[#ids + 1] = stream_id_in(record)
  end
end
local groups = groups_of(mailbox)
settle_each(keys, groups, device, ids)
-- A mailbox has a group for each device. Where that of this device is not the only one, the devices are looked up: it
-- may have been forgotten.
if #news > 0 and not (#groups == 1 and groups[1].name == device) then
  --@use _own
  --@use _notify
  if has_others(user, device) then
    local before = newest_id(mailbox)
    local newest = append(user, mailbox, own_read_fields(sender, table.concat(news, ' '), device))
    pass_by(mailbox, device, before, newest, 1)
    return {ids, newest, notify(leases, own_server, mobile, newest, device)}
  end
end
return {ids, '', {}}
