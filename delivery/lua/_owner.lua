-- Whether a number that this account has left belongs to another one by now.
--@use _user_fields
local function is_taken(user, account_id)
  local owner = redis.call('HGET', user, ACCOUNT_ID)
  return owner and owner ~= account_id
end
