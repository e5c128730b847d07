#!lua
-- send: chats of one sender into their recipient's mailbox, in order; all that decides their fate, in one step.
-- Order for each: known -> seen (reused, if with another text) -> limited -> full -> blocked -> store. Refusals are not
-- remembered. What follows a limited one is limited, too, or it would overtake it.
-- KEYS[1] person KEYS[2] mailbox KEYS[3] blocks KEYS[4] phantoms KEYS[5] leases KEYS[6] tally
-- KEYS[7] records KEYS[8] records before KEYS[9] answered KEYS[10] strangers
-- ARGV[1] sender ARGV[2] most chats ARGV[3] most bytes ARGV[4] most of one sender ARGV[5] least life of records in s
-- ARGV[6] serverId of the caller ARGV[7] whose mailbox ARGV[8] most bytes of one sender
-- ARGV[9] interval of a stranger's chats in us, or '': the sender is known to be none, or there is no limit
-- ARGV[10] burst of those ARGV[11] 1 if this may be a new recipient for the sender ARGV[12] life of strangers in s
-- ARGV[13..] messageId, text, digest of it, ...
-- RETURNS {verdict: unloaded | done, newest streamId that waits or '', {serverId of each live connection},
--   {streamId | full | reused | new | us to wait, ...}, what the sender is: '' | answered | stranger | new}
--@use _clock
--@use _leases
--@use _mailbox
--@use _seen
--@use _tally
--@use _ring
--@use _gcra
local sender = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unloaded', '', {}, {}, ''} end

local fields = {}
for i = 13, #ARGV, 3 do fields[#fields + 1] = record_field(sender, ARGV[i]) end
local records = find_records(KEYS[7], KEYS[8], fields)

-- For a blocked sender his and others' phantoms count as if they waited, as they would if the person were offline;
-- for everyone else they do not, or blocked people could fill a mailbox for good.
local blocked = redis.call('SISMEMBER', KEYS[3], sender) == 1
local waiting = redis.call('HMGET', KEYS[6], 'n', 'b', 'n:' .. sender, 'b:' .. sender,
  'pn', 'pb', 'pn:' .. sender, 'pb:' .. sender)
for i = 1, 8 do waiting[i] = tonumber(waiting[i] or '0') end
-- Servers of before do not count bytes of a sender down: of whom no chat waits, no byte does.
if waiting[3] <= 0 then waiting[4] = 0 end
if waiting[7] <= 0 then waiting[8] = 0 end
local chats, bytes, mine, size = waiting[1], waiting[2], waiting[3], waiting[4]
if blocked then
  chats, bytes, mine, size = chats + waiting[5], bytes + waiting[6], mine + waiting[7], size + waiting[8]
end
local most_chats, most_bytes, most_mine, most_size =
  tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[8])

-- Whom this person wrote to is no stranger. Of a stranger the field tells when their bucket is full again. Without one
-- they wrote before all the same if something of theirs waits: the field may be lost, or they began before there were any.
local standing, full_at, now, remembered = '', nil, nil, false
if ARGV[9] ~= '' then
  standing = 'answered'
  if redis.call('SISMEMBER', KEYS[9], sender) == 0 then
    remembered = redis.call('HGET', KEYS[10], sender)
    standing = (remembered or mine > 0) and 'stranger' or 'new'
    full_at, now = tonumber(remembered or '0'), now_us()
  end
end
local limited = standing == 'new' and ARGV[11] ~= '1' and 'new' or nil

-- Why no more is taken now, or nothing; then a token was taken.
local function limit()
  if full_at and not limited then
    local interval, wait = tonumber(ARGV[9]), 0
    full_at, wait = take_token(full_at, now, interval, tonumber(ARGV[10]), interval, 0)
    if wait > 0 then limited = text(wait) end
  end
  return limited
end

local function store(message_id, message)
  if blocked then return 'p', redis.call('XADD', KEYS[4], '*', 'f', sender, 'i', message_id, 'b', #message) end
  return 's', put(KEYS[1], KEYS[2], 'k', 'c', 'f', sender, 'i', message_id, 'm', message)
end

-- Of too many, one goes: they are new again, and have a full bucket, at the cost of one of their new recipients.
local MOST_STRANGERS = 1000
local function remember_stranger(strangers, who, until_us, life)
  redis.call('HSET', strangers, who, text(until_us))
  if not remembered and redis.call('HLEN', strangers) > MOST_STRANGERS then
    redis.call('HDEL', strangers, redis.call('HRANDFIELD', strangers))
  end
  redis.call('EXPIRE', strangers, life)
end

local answers, fresh, newest = {}, {}, ''
for n, field in ipairs(fields) do
  local message_id, message, digest = ARGV[10 + 3 * n], ARGV[11 + 3 * n], ARGV[12 + 3 * n]
  local record = records[field]
  local state, answer = '', 'full'
  if record and not has_text(record, digest) then
    answer = 'reused'
  elseif record then
    state, answer = string.sub(record, 1, 1), place_in(record)
  elseif limit() then
    answer = limited
  elseif chats < most_chats and bytes + #message <= most_bytes and mine < most_mine and size + #message <= most_size then
    state, answer = store(message_id, message)
    record = state .. answer .. ' ' .. digest
    records[field] = record
    fresh[#fresh + 1], fresh[#fresh + 2] = field, record
    chats, bytes, mine, size = chats + 1, bytes + #message, mine + 1, size + #message
  end
  answers[n] = answer
  if state == 's' and (newest == '' or compare_ids(newest, answer) < 0) then newest = answer end
end
if #fresh > 0 then
  write_records(KEYS[7], fresh, ARGV[5])
  local p, others = '', {0, 0, 0, 0}
  if blocked then p, others = 'p', waiting end
  redis.call('HSET', KEYS[6], p .. 'n', chats - others[1], p .. 'b', bytes - others[2],
    p .. 'n:' .. sender, mine - others[3], p .. 'b:' .. sender, size - others[4])
  if full_at then remember_stranger(KEYS[10], sender, full_at, ARGV[12]) end
end
return {'done', newest, newest ~= '' and ring(KEYS[5], ARGV[6], ARGV[7], newest) or {}, answers, standing}
