#!lua flags=allow-oom
-- write: one command of a few bytes, which is executed also while memory is short: whatever lets people in and out, and
-- is not a chat.
-- KEYS[1] what the command writes to
-- ARGV[1] command ARGV[2..] what follows its key
-- RETURNS what the command returns
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
