-- The hash of a user: ACCOUNT_ID, EPOCH, BLOCKS_VERSION, LAST_ID (where the ids of a deleted mailbox ended), and a
-- field for each device, whose value is when it was last claimed, in ms.
--@use _user_fields
local function device_field(device)
  return DEVICE_PREFIX .. device
end

-- The device whose field this is, or nothing.
local function device_of(field)
  if string.sub(field, 1, #DEVICE_PREFIX) == DEVICE_PREFIX then return string.sub(field, #DEVICE_PREFIX + 1) end
end
