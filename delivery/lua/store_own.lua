#!lua flags=allow-oom
-- store_own: copies of chats that one device of this person sent, for their other devices. They are stored after the
-- recipient's, in order, each once: a retry of a chat that has its copy finds the copy's record. Each copy is taken,
-- because the recipient has the chat already. Where too many wait for a device that does not come, the oldest leave.
-- RETURNS {verdict: not_cached | alone | stored, newest streamId or '', {serverId of each other live connection}}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local leases = KEYS[3] -- hash
local tally = KEYS[4] -- hash
local dedupe = KEYS[5] -- hash
local dedupe_before = KEYS[6] -- hash
local entry_states = KEYS[7] -- hash
local device = ARGV[1] -- that sent them
local to = ARGV[2] -- mobile number of the recipient
local own_server = ARGV[3] -- serverId of the caller
local mobile = ARGV[4] -- of the owner of the mailbox
local least = ARGV[5] -- least life of dedupe records, in s
local most_chats = tonumber(ARGV[6]) -- most copies that may wait
local most_bytes = tonumber(ARGV[7])
-- ARGV[8..]: messageId, text, when the recipient's was stored in ms, ...
--@use _stored_entries
--@use _own
--@use _mailbox
--@use _dedupe
--@use _tally
--@use _notify
if redis.call('EXISTS', user) == 0 then return {'not_cached', '', {}} end
if not has_others(user, device) then return {'alone', '', {}} end

local fields = {}
for i = 8, #ARGV, 3 do fields[#fields + 1] = record_field(own_name(to), ARGV[i]) end
local records, since = look_up(dedupe, dedupe_before, redis.call('EXISTS', dedupe_before) == 1, fields)
local fresh, known, newest, chats, bytes = {}, {}, '', 0, 0
local before = newest_id(mailbox)
for n, field in ipairs(fields) do
  if not (records[n] or known[field]) then
    local message_id, message, sent_at = ARGV[5 + 3 * n], ARGV[6 + 3 * n], ARGV[7 + 3 * n]
    newest = append(user, mailbox, own_chat_fields(to, message_id, message, sent_at, device))
    known[field], fresh[#fresh + 1], fresh[#fresh + 2] = true, field, STORED .. newest
    chats, bytes = chats + 1, bytes + #message
  end
end
if chats == 0 then return {'stored', '', {}} end
write_records(dedupe, fresh, least, since)
count_own(tally, chats, bytes)
pass_by(mailbox, device, before, newest, chats)

local waiting = redis.call('HMGET', tally, OWN_NUMBER, OWN_BYTES)
local too_many, too_much = tonumber(waiting[1]) - most_chats, tonumber(waiting[2]) - most_bytes
if too_many > 0 or too_much > 0 then
  --@use _remove
  -- More than need be, so that not each copy costs a walk; and no longer a walk than a script may take.
  local LEAST_TO_DROP, MOST_TO_DROP, MOST_TO_READ = 0.1, 1000, 2000
  if too_many > 0 then too_many = too_many + most_chats * LEAST_TO_DROP end
  if too_much > 0 then too_much = too_much + most_bytes * LEAST_TO_DROP end
  local leaving, dropped = {}, 0
  for _, entry in ipairs(redis.call('XRANGE', mailbox, '-', '(' .. newest, 'COUNT', MOST_TO_READ)) do
    if #leaving >= MOST_TO_DROP or #leaving >= too_many and dropped >= too_much then break end
    if entry[2][ENTRY_KIND] == OWN_CHAT then
      leaving[#leaving + 1] = entry[1]
      dropped = dropped + #entry[2][OWN_CHAT_MESSAGE]
    end
  end
  remove({mailbox = mailbox, tally = tally, entry_states = entry_states}, groups_of(mailbox), leaving)
end
return {'stored', newest, notify(leases, own_server, mobile, newest, device)}
