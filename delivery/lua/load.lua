#!lua flags=allow-oom
-- load: what PostgreSQL knows of a person, into Redis. Blocks carry a version: only newer ones are taken.
-- A number that came to another account finds nothing of the former owner's.
-- KEYS[1] person KEYS[2] blocks KEYS[3] last seen KEYS[4] mailbox KEYS[5] phantoms KEYS[6] parked
-- KEYS[7] leases KEYS[8] tally KEYS[9] records KEYS[10] records before
-- KEYS[11] answered KEYS[12] strangers
-- ARGV[1] account id ARGV[2] epoch for a new record ARGV[3] version of the blocks
-- ARGV[4] last seen in ms or '' ARGV[5..] blocked numbers
-- RETURNS {verdict: created | newer | kept, epoch}
local verdict = 'kept'
local account = redis.call('HGET', KEYS[1], 'id')
if account and account ~= ARGV[1] then
  redis.call('DEL', unpack(KEYS))
  account = false
end
if not account then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'epoch', ARGV[2])
  if ARGV[4] ~= '' then redis.call('SET', KEYS[3], ARGV[4], 'NX') end
  verdict = 'created'
end
local version = tonumber(redis.call('HGET', KEYS[1], 'blocks') or '-1')
if tonumber(ARGV[3]) > version then
  redis.call('HSET', KEYS[1], 'blocks', ARGV[3])
  redis.call('DEL', KEYS[2])
  for i = 5, #ARGV do redis.call('SADD', KEYS[2], ARGV[i]) end
  if verdict == 'kept' then verdict = 'newer' end
end
return {verdict, redis.call('HGET', KEYS[1], 'epoch')}
