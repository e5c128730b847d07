#!lua flags=allow-oom
-- note_answered: this person wrote to somebody, who from now on is no stranger to them. If there are too many, one
-- goes.
-- RETURNS 1 if it was not known before, else 0
local answered = KEYS[1] -- set
local strangers = KEYS[2] -- hash
local recipient = ARGV[1] -- mobile number
local life = ARGV[2] -- in s
local most = tonumber(ARGV[3]) -- most recipients to remember
local added = redis.call('SADD', answered, recipient)
if added == 1 then
  if redis.call('SCARD', answered) > most then redis.call('SPOP', answered) end
  redis.call('HDEL', strangers, recipient)
end
redis.call('EXPIRE', answered, life)
return added
