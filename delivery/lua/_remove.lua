-- Entries leave, for whatever cause: out of every group's pending list first, then out of the stream (a bare
-- XDEL would leave nil entries in pending lists), then out of the tally.
-- Tells how many left, and of the chats among them the dedupe fields and streamIds.
local function take_out(keys, groups, ids)
  local gone, fields, theirs, sums, seen = {}, {}, {}, {}, {}
  if #ids == 0 then return 0, fields, theirs end
  for _, id in ipairs(ids) do
    local entry = not seen[id] and redis.call('XRANGE', keys.mailbox, id, id)[1]
    seen[id] = true
    if entry then
      gone[#gone + 1] = id
      local said = entry[2]
      if said[2] == 'c' then
        fields[#fields + 1], theirs[#theirs + 1] = record_field(said[4], said[6]), id
        local sum = sums[said[4]] or {0, 0}
        sums[said[4]] = {sum[1] + 1, sum[2] + #said[8]}
      end
    end
  end
  for _, group in ipairs(groups) do redis.call('XACK', keys.mailbox, group.name, unpack(ids)) end
  redis.call('HDEL', keys.parked, unpack(ids))
  if #gone == 0 then return 0, fields, theirs end
  redis.call('XDEL', keys.mailbox, unpack(gone))
  for sender, sum in pairs(sums) do count_down(keys.tally, '', sender, sum[1], sum[2]) end
  return #gone, fields, theirs
end

-- The same, for good: their dedupe records retire.
local function remove_entries(keys, groups, ids, state, ttl)
  local left, fields, theirs = take_out(keys, groups, ids)
  if #fields > 0 then retire_records(keys.waiting, keys.bucket, ttl, fields, theirs, state) end
  return left
end
