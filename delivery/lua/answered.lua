#!lua flags=allow-oom
-- answered: this person wrote to somebody, who from now on is no stranger to them. Of too many, one goes.
-- KEYS[1] answered KEYS[2] strangers
-- ARGV[1] to whom ARGV[2] life in s ARGV[3] most
-- RETURNS 1 if it is news, else 0
local news = redis.call('SADD', KEYS[1], ARGV[1])
if news == 1 then
  if redis.call('SCARD', KEYS[1]) > tonumber(ARGV[3]) then redis.call('SPOP', KEYS[1]) end
  redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return news
