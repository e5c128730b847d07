#!lua
-- store_chats: chats of one sender into their recipient's mailbox, in order; all that decides their fate, in one step.
-- Order for each: known -> seen (reused, if with another text) -> limited -> full -> blocked -> store. A refusal is not
-- remembered. What follows a limited chat is limited, too, or it would overtake it.
-- RETURNS {verdict: not_cached | done, newest streamId that waits or '', {serverId of each live connection},
--   {streamId | full | reused | new | us to wait, ...}, what the sender is: '' | answered | stranger | new}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local blocks = KEYS[3] -- set
local shadows = KEYS[4] -- stream
local leases = KEYS[5] -- hash
local tally = KEYS[6] -- hash
local dedupe = KEYS[7] -- hash
local dedupe_before = KEYS[8] -- hash
local answered = KEYS[9] -- set
local strangers = KEYS[10] -- hash
local sender = ARGV[1] -- mobile number
local most_chats = tonumber(ARGV[2])
local most_bytes = tonumber(ARGV[3])
local most_of_sender = tonumber(ARGV[4]) -- most chats of one sender
local least = ARGV[5] -- least life of dedupe records, in s
local own_server = ARGV[6] -- serverId of the caller, or ''
local mobile = ARGV[7] -- of the owner of the mailbox
local most_bytes_of_sender = tonumber(ARGV[8])
local interval = tonumber(ARGV[9]) -- of a stranger's chats, in us; '': the sender is no stranger, or there is no limit
local burst = tonumber(ARGV[10]) -- of a stranger's chats
local may_be_new = ARGV[11] -- 1 if the sender may write to one more new recipient
local strangers_life = ARGV[12] -- in s
-- ARGV[13..]: messageId, text, digest of the text, ...
--@use _stored_entries
--@use _mailbox
--@use _dedupe
--@use _tally
--@use _notify
-- Asked together, since there nearly always is something of both.
local there = redis.call('EXISTS', user, dedupe_before)
if there == 0 or there == 1 and redis.call('EXISTS', user) == 0 then return {'not_cached', '', {}, {}, ''} end

local fields = {}
for i = 13, #ARGV, 3 do fields[#fields + 1] = record_field(sender, ARGV[i]) end
local records, since = look_up(dedupe, dedupe_before, there == 2, fields)

-- For a blocked sender shadow entries count as if they waited, as they would if the person were offline. For everyone
-- else they do not, or blocked people could fill a mailbox for good.
local blocked = redis.call('SISMEMBER', blocks, sender) == 1
local chats_field, bytes_field, of_sender_field, sender_bytes_field = tally_fields(CHAT_TALLY, sender)
local waiting = redis.call('HMGET', tally, chats_field, bytes_field, of_sender_field, sender_bytes_field)
local chats, bytes = tonumber(waiting[1] or '0'), tonumber(waiting[2] or '0')
local of_sender, bytes_of_sender = tonumber(waiting[3] or '0'), tonumber(waiting[4] or '0')
-- Earlier versions do not count the bytes of one sender down: if no chat of a sender waits, no byte does.
if of_sender <= 0 then bytes_of_sender = 0 end
local apart -- what counts for the limits and is not in the fields that are written
if blocked then
  apart = {chats, bytes, of_sender, bytes_of_sender}
  chats_field, bytes_field, of_sender_field, sender_bytes_field = tally_fields(SHADOW_TALLY, sender)
  local more = redis.call('HMGET', tally, chats_field, bytes_field, of_sender_field, sender_bytes_field)
  chats, bytes = chats + tonumber(more[1] or '0'), bytes + tonumber(more[2] or '0')
  local more_of_sender = tonumber(more[3] or '0')
  of_sender = of_sender + more_of_sender
  if more_of_sender > 0 then bytes_of_sender = bytes_of_sender + tonumber(more[4] or '0') end
end

-- A person whom the recipient wrote to is no stranger. Of a stranger, a field tells when their bucket is full again. A
-- sender without such a field is a stranger, not a new one, if something of theirs waits: the field may be lost, or
-- they wrote before there were any.
local standing, full_at, now, remembered = '', nil, nil, false
if interval then
  standing = 'answered'
  if redis.call('SISMEMBER', answered, sender) == 0 then
    remembered = redis.call('HGET', strangers, sender)
    standing = (remembered or of_sender > 0) and 'stranger' or 'new'
    full_at = tonumber(remembered or '0')
  end
end
-- Why no more is taken now, of what is limited.
local limited = standing == 'new' and may_be_new ~= '1' and 'new' or nil

-- The same messageId twice in one call: the second gets what the first one got.
local answers, fresh, newest, known = {}, {}, '', #fields > 1 and {}
for n, field in ipairs(fields) do
  local message_id, message, digest = ARGV[10 + 3 * n], ARGV[11 + 3 * n], ARGV[12 + 3 * n]
  local record, answer = records[n] or known and known[field], 'full'
  if record then
    answer = has_text(record, digest) and stream_id_in(record) or 'reused'
    if answer ~= 'reused' and string.sub(record, 1, 1) == STORED
      and (newest == '' or compare_ids(newest, answer) < 0) then
      newest = answer
    end
  else
    if full_at and not limited then
      --@use _clock
      --@use _gcra
      local wait
      now = now or now_us()
      full_at, wait = take_from(full_at, now, interval, burst, interval, 0, 1)
      if wait > 0 then limited = digits(wait) end
    end
    if limited then
      answer = limited
    elseif chats < most_chats and bytes + #message <= most_bytes
      and of_sender < most_of_sender and bytes_of_sender + #message <= most_bytes_of_sender then
      if blocked then
        answer = redis.call('XADD', shadows, '*', shadow_fields(sender, message_id, #message))
        record = SHADOWED .. answer .. ' ' .. digest
      else
        answer = append(user, mailbox, chat_fields(sender, message_id, message))
        record = STORED .. answer .. ' ' .. digest
        newest = answer -- ids never go back
      end
      if known then known[field] = record end
      fresh[#fresh + 1], fresh[#fresh + 2] = field, record
      chats, bytes = chats + 1, bytes + #message
      of_sender, bytes_of_sender = of_sender + 1, bytes_of_sender + #message
    end
  end
  answers[n] = answer
end
if #fresh > 0 then
  write_records(dedupe, fresh, least, since)
  if apart then
    chats, bytes = chats - apart[1], bytes - apart[2]
    of_sender, bytes_of_sender = of_sender - apart[3], bytes_of_sender - apart[4]
  end
  redis.call('HSET', tally, chats_field, chats, bytes_field, bytes,
    of_sender_field, of_sender, sender_bytes_field, bytes_of_sender)
  -- If there are too many strangers, one goes: they are new again, and have a full bucket, at the cost of one of their
  -- new recipients.
  if full_at then
    local MOST_STRANGERS = 1000
    redis.call('HSET', strangers, sender, digits(full_at))
    if not remembered and redis.call('HLEN', strangers) > MOST_STRANGERS then
      redis.call('HDEL', strangers, redis.call('HRANDFIELD', strangers))
    end
    redis.call('EXPIRE', strangers, strangers_life)
  end
end
local servers = newest ~= '' and notify(leases, own_server, mobile, newest) or {}
return {'done', newest, servers, answers, standing}
