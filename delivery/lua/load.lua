#!lua flags=allow-oom
-- load: what PostgreSQL knows of a person, into Redis. Blocks and privacy carry one version: only newer ones are taken.
-- If the number belongs to another account by now, everything of the former owner goes.
-- With each block it is noted when its maker was last seen at that moment, which is all that the blocked one may see
-- from then on. Redis knows this when the block is new to it. What it has lost is made up for by the time of the block:
-- they cannot have been last seen later.
-- The servers that hold the person's own connections are notified of another privacy, and those on which somebody watches
-- them of any change.
-- A version whose times are missing was written by an earlier version of this script, and is taken once more.
-- If this account has left the number, nothing is done: the caller read PostgreSQL before.
-- RETURNS {verdict: created | newer | kept | left, epoch}
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local last_seen = KEYS[3] -- string
local mailbox = KEYS[4] -- stream
local shadows = KEYS[5] -- stream
local entry_states = KEYS[6] -- hash
local leases = KEYS[7] -- hash
local tally = KEYS[8] -- hash
local dedupe = KEYS[9] -- hash
local dedupe_before = KEYS[10] -- hash
local answered = KEYS[11] -- set
local strangers = KEYS[12] -- hash
local blocked_at = KEYS[13] -- hash
local login_places = KEYS[14] -- sorted set
local left_by = KEYS[15] -- string
local watchers = KEYS[16] -- sorted set
local account_id = ARGV[1]
local new_epoch = ARGV[2] -- for a user that Redis does not know
local blocks_version = ARGV[3]
local seen = ARGV[4] -- in ms, or ''
local privacy = ARGV[5] -- '' if nothing is hidden
local since = tonumber(ARGV[6]) -- when the account got the number by PostgreSQL's clock, in ms
-- ARGV[7..]: blocked mobile number, time of the block in ms, ...
--@use _channels
--@use _clock
--@use _everything
--@use _tell_servers
--@use _user_fields
--@use _watchers
local former = redis.call('GET', left_by)
if former == account_id then return {'left', ''} end
local verdict = 'kept'
local account_before = redis.call('HGET', user, ACCOUNT_ID)
if account_before and account_before ~= account_id then
  redis.call('DEL', unpack(EVERYTHING))
  account_before = false
end
if not account_before then
  redis.call('HSET', user, ACCOUNT_ID, account_id, EPOCH, new_epoch)
  if former then
    -- Clocks differ by less than this. A new owner is loaded before they send anything, mostly at once: then Redis' own
    -- clock is the right one.
    local CLOCKS_MS = 60000
    local time = now_ms()
    redis.call('HSET', user, NUMBER_SINCE, digits(time - since < CLOCKS_MS and time or since))
  end
  if seen ~= '' then redis.call('SET', last_seen, seen, 'NX') end
  verdict = 'created'
end
local known = redis.call('HMGET', user, BLOCKS_VERSION, RULES_VERSION)
local version, version_before = tonumber(blocks_version), tonumber(known[1] or '-1')
local is_incomplete = version == version_before and version > 0 and known[2] ~= blocks_version
if version > version_before or is_incomplete then
  if #ARGV >= 7 then
    --@use _presence
    local ends_at, last_seen_at, now = presence_of(leases, last_seen)
    local seen_now = ends_at ~= '' and now or last_seen_at
    local noted, before = {}, redis.call('HGETALL', blocked_at)
    for i = 1, #before, 2 do noted[before[i]] = before[i + 1] end
    local blocked, times = {}, {}
    for i = 7, #ARGV, 2 do
      local mobile, at = ARGV[i], ARGV[i + 1]
      local frozen = noted[mobile]
      if not frozen and (verdict == 'created' or redis.call('SISMEMBER', blocks, mobile) == 1) then
        frozen = digits(math.min(tonumber(at), tonumber(last_seen_at)))
      end
      blocked[#blocked + 1] = mobile
      times[#times + 1], times[#times + 2] = mobile, frozen or seen_now
    end
    redis.call('DEL', blocks, blocked_at)
    for i = 1, #blocked, 1000 do redis.call('SADD', blocks, unpack(blocked, i, math.min(i + 999, #blocked))) end
    for i = 1, #times, 2000 do redis.call('HSET', blocked_at, unpack(times, i, math.min(i + 1999, #times))) end
  else
    redis.call('DEL', blocks, blocked_at)
  end
  redis.call('HSET', user, BLOCKS_VERSION, blocks_version)
  if version > 0 then redis.call('HSET', user, RULES_VERSION, blocks_version) end
  if privacy ~= (redis.call('HGET', user, PRIVACY) or '') then
    --@use _leases
    if privacy == '' then redis.call('HDEL', user, PRIVACY) else redis.call('HSET', user, PRIVACY, privacy) end
    local mobile = string.match(user, '{(%d+)}')
    tell_servers(live_servers(leases), PRIVACY_CHANGED .. ' ' .. mobile .. ' ' .. privacy)
  end
  if verdict == 'kept' then verdict = 'newer' end
end
if verdict ~= 'kept' then notify_watchers(watchers) end
return {verdict, redis.call('HGET', user, EPOCH)}
