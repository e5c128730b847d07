#!lua flags=no-writes
-- read_waiting: a page of a person's mailbox, for the person: nothing is fetched or settled by it. If Redis does not know
-- this account under this number, nothing is told: the number may have another owner by now.
-- RETURNS {verdict: not_cached | found, {{streamId, {field, value, ...}}, ...}}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local account_id = ARGV[1]
local after = ARGV[2] -- streamId: entries behind it
local most = ARGV[3] -- most entries
--@use _user_fields
if redis.call('HGET', user, ACCOUNT_ID) ~= account_id then return {'not_cached', {}} end
return {'found', redis.call('XRANGE', mailbox, '(' .. after, '+', 'COUNT', most)}
