#!lua
-- send: chats of one sender into their recipient's mailbox, in order; all that decides their fate, in one step.
-- Order for each: known -> seen (reused, if with another text) -> full -> blocked -> store. Refusals are not remembered.
-- KEYS[1] person KEYS[2] mailbox KEYS[3] blocks KEYS[4] phantoms KEYS[5] leases KEYS[6] tally
-- KEYS[7] records KEYS[8] records before
-- ARGV[1] sender ARGV[2] most chats ARGV[3] most bytes ARGV[4] most of one sender ARGV[5] least life of records in s
-- ARGV[6] serverId of the caller ARGV[7] whose mailbox ARGV[8..] messageId, text, digest of it, ...
-- RETURNS {verdict: unloaded | done, newest streamId that waits or '', {serverId of each live connection},
--   {streamId | full | reused, ...}}
--@use _clock
--@use _leases
--@use _mailbox
--@use _seen
--@use _tally
--@use _ring
local sender = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unloaded', '', {}, {}} end

local fields = {}
for i = 8, #ARGV, 3 do fields[#fields + 1] = record_field(sender, ARGV[i]) end
local records = find_records(KEYS[7], KEYS[8], fields)

-- For a blocked sender his and others' phantoms count as if they waited, as they would if the person were offline;
-- for everyone else they do not, or blocked people could fill a mailbox for good.
local blocked = redis.call('SISMEMBER', KEYS[3], sender) == 1
local waiting = redis.call('HMGET', KEYS[6], 'n', 'b', 'n:' .. sender, 'pn', 'pb', 'pn:' .. sender)
for i = 1, 6 do waiting[i] = tonumber(waiting[i] or '0') end
local chats, bytes, mine = waiting[1], waiting[2], waiting[3]
if blocked then chats, bytes, mine = chats + waiting[4], bytes + waiting[5], mine + waiting[6] end
local most_chats, most_bytes, most_mine = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function store(message_id, message)
  if blocked then return 'p', redis.call('XADD', KEYS[4], '*', 'f', sender, 'i', message_id, 'b', #message) end
  return 's', put(KEYS[1], KEYS[2], 'k', 'c', 'f', sender, 'i', message_id, 'm', message)
end

local answers, fresh, newest = {}, {}, ''
for n, field in ipairs(fields) do
  local message_id, message, digest = ARGV[5 + 3 * n], ARGV[6 + 3 * n], ARGV[7 + 3 * n]
  local record = records[field]
  local state, answer = '', 'full'
  if record and not has_text(record, digest) then
    answer = 'reused'
  elseif record then
    state, answer = string.sub(record, 1, 1), place_in(record)
  elseif chats < most_chats and bytes + #message <= most_bytes and mine < most_mine then
    state, answer = store(message_id, message)
    record = state .. answer .. ' ' .. digest
    records[field] = record
    fresh[#fresh + 1], fresh[#fresh + 2] = field, record
    chats, bytes, mine = chats + 1, bytes + #message, mine + 1
  end
  answers[n] = answer
  if state == 's' and (newest == '' or compare_ids(newest, answer) < 0) then newest = answer end
end
if #fresh > 0 then
  write_records(KEYS[7], fresh, ARGV[5])
  local p, others = '', {0, 0, 0}
  if blocked then p, others = 'p', waiting end
  redis.call('HSET', KEYS[6], p .. 'n', chats - others[1], p .. 'b', bytes - others[2],
    p .. 'n:' .. sender, mine - others[3])
end
return {'done', newest, newest ~= '' and ring(KEYS[5], ARGV[6], ARGV[7], newest) or {}, answers}
