#!lua flags=allow-oom
-- write: one command of a few bytes, which is executed also while memory is short: for what lets people in and out, and
-- is not a chat.
-- RETURNS what the command returns
local key = KEYS[1] -- what the command writes to
local command = ARGV[1]
-- ARGV[2..]: what follows the key
return redis.call(command, key, unpack(ARGV, 2))
