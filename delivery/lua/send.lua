#!lua
-- send: a chat into its recipient's mailbox; all that decides its fate, in one step.
-- Order: known -> seen -> full -> blocked -> store. Refusals are not remembered.
-- KEYS[1] person KEYS[2] mailbox KEYS[3] blocks KEYS[4] phantoms KEYS[5] leases KEYS[6] tally
-- KEYS[7] waiting records KEYS[8] bucket before KEYS[9] bucket now KEYS[10] bucket after
-- ARGV[1] sender ARGV[2] messageId ARGV[3] text ARGV[4] most chats ARGV[5] most bytes ARGV[6] most of one sender
-- RETURNS {verdict: unloaded | again | full | stored, streamId, {serverId of each live connection}}
--@use _clock
--@use _leases
--@use _mailbox
--@use _seen
--@use _tally
local sender, message_id, message = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unloaded', '', {}} end

local field = record_field(sender, message_id)
local record = find_record(KEYS[7], {KEYS[8], KEYS[9], KEYS[10]}, field)
if record then
  local rung = string.sub(record, 1, 1) == 's' and live_servers(KEYS[5]) or {}
  return {'again', string.sub(record, 2), rung}
end

-- For a blocked sender his and others' phantoms count as if they waited, as they would if the person were offline;
-- for everyone else they do not, or blocked people could fill a mailbox for good.
local blocked = redis.call('SISMEMBER', KEYS[3], sender) == 1
local waiting = redis.call('HMGET', KEYS[6], 'n', 'b', 'n:' .. sender, 'pn', 'pb', 'pn:' .. sender)
for i = 1, 6 do waiting[i] = tonumber(waiting[i] or '0') end
if blocked then
  for i = 1, 3 do waiting[i] = waiting[i] + waiting[i + 3] end
end
if waiting[1] + 1 > tonumber(ARGV[4]) or waiting[2] + #message > tonumber(ARGV[5])
  or waiting[3] + 1 > tonumber(ARGV[6]) then
  return {'full', '', {}}
end

if blocked then
  local id = redis.call('XADD', KEYS[4], '*', 'f', sender, 'i', message_id, 'b', #message)
  redis.call('HSET', KEYS[7], field, 'p' .. id)
  count_up(KEYS[6], 'p', sender, #message)
  return {'stored', id, {}}
end
open_mailbox(KEYS[1], KEYS[2])
local id = redis.call('XADD', KEYS[2], '*', 'k', 'c', 'f', sender, 'i', message_id, 'm', message)
redis.call('HSET', KEYS[7], field, 's' .. id)
count_up(KEYS[6], '', sender, #message)
return {'stored', id, live_servers(KEYS[5])}
