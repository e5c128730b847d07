--@use _tally
--@use _own_chats
-- If this is the only device, and all of these entries are pending: they leave, and nothing needs to be read, because
-- what is pending is still in the mailbox. Their streamIds are args[first..last]; behind them come sender, chats and
-- bytes of each sender, as the server remembers them. Returns false if it did nothing but acknowledge.
local function settle_alone(mailbox, tally, entry_states, device, args, first, last)
  local groups = redis.pcall('XINFO', 'GROUPS', mailbox)
  -- The name is the first thing that is said of a group. Of an error, there is no first group.
  if #groups ~= 1 or groups[1][2] ~= device then return false end
  if redis.call('XACK', mailbox, device, unpack(args, first, last)) ~= last - first + 1 then return false end
  redis.call('XDEL', mailbox, unpack(args, first, last))
  redis.call('HDEL', entry_states, unpack(args, first, last))
  for i = last + 1, #args, 3 do
    local chats, bytes = tonumber(args[i + 1]), tonumber(args[i + 2])
    if args[i] == OWN_CHATS then
      count_own(tally, -chats, -bytes)
    else
      count_down(tally, CHAT_TALLY, args[i], chats, bytes)
    end
  end
  return true
end
