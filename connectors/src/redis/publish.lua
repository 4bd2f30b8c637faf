-- Replaces a ranking and its meta hash in one step, unless what is there is newer, or is no ranking of a job.
-- KEYS: the ranking, its meta. ARGV: epoch, window_end, final (0 or 1), time to live in ms (0: for ever), the weight
-- counted, which is the total with what was removed, how it is to be taken, the number of arguments that fill the meta,
-- those arguments, then score and member of each item.
-- How: bucket; live, in place of whatever an earlier run left; early, only where that was not further already.
local function greater(a, b) return #a > #b or (#a == #b and a > b) end

-- Whether the server itself may have removed a meta hash and left its ranking.
local function evicts(ttl)
  local told = redis.pcall('INFO', 'memory')
  local function says(policy) return string.find(told, 'maxmemory_policy:' .. policy, 1, true) end
  return type(told) == 'string' and (says('allkeys') or (ttl > 0 and says('volatile')))
end

local ttl, how = tonumber(ARGV[4]), ARGV[6]
local ranking, meta = redis.call('TYPE', KEYS[1]).ok, redis.call('TYPE', KEYS[2]).ok
if ranking ~= 'none' and ranking ~= 'zset' then return {'foreign', KEYS[1], ranking} end
if meta ~= 'none' and meta ~= 'hash' then return {'foreign', KEYS[2], meta} end
if ranking == 'zset' and meta == 'none' and not evicts(ttl) then return {'foreign', KEYS[1], ranking} end

if meta == 'hash' then
  local old = redis.call('HMGET', KEYS[2], 'epoch', 'window_end', 'final', 'total', 'removed')
  local epoch = old[1] or ''
  if not string.match(epoch, '^%d+$') or #epoch > 19 then return {'foreign', KEYS[2], meta} end
  if greater(epoch, ARGV[1]) then return {'newer', epoch} end
  local was, is, provisional = tonumber(old[2]) or 0, tonumber(ARGV[2]), ARGV[3] == '0'
  -- A later run counts open panes anew: until it has counted as much, what the earlier one wrote stays.
  -- Where events take away, a total may fall, but not with what was removed.
  local counted = old[4] or '0'
  if old[5] then counted = string.format('%.0f', (tonumber(counted) or 0) + (tonumber(old[5]) or 0)) end
  local less = provisional and (old[3] == '1' or greater(counted, ARGV[5]))
  if how == 'bucket' then
    if less then return {'outdated'} end
  elseif epoch == ARGV[1] then
    if was > is or (was == is and (old[3] or '0') > ARGV[3]) then return {'outdated'} end
  elseif how == 'early' and (was > is or (was == is and less)) then
    return {'early'}
  end
end

-- A full server refuses a script at its first write, and no later: that one takes nothing away.
redis.call('HSET', KEYS[2], 'epoch', ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2])
local items = 8 + tonumber(ARGV[7])
redis.call('HSET', KEYS[2], unpack(ARGV, 8, items - 1))
-- unpack cannot take arguments without end.
for first = items, #ARGV, 1000 do
  redis.call('ZADD', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if ttl > 0 then
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
end
return {'written'}
