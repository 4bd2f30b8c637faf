-- Replaces a ranking and its meta hash in one step, unless what is there is newer.
-- KEYS: the ranking, its meta. ARGV: epoch, window_end, final (0 or 1), time to live in ms (0: for ever), the total of a
-- bucket (empty: no bucket), the number of arguments that fill the meta, those arguments, then score and member of each
-- item.
local function greater(a, b) return #a > #b or (#a == #b and a > b) end

local old = redis.call('HMGET', KEYS[2], 'epoch', 'window_end', 'final', 'total')
if old[1] then
  if greater(old[1], ARGV[1]) then return 0 end
  if ARGV[5] ~= '' and ARGV[3] == '0' then
    -- A later run counts open panes anew: until it has counted as much, what the earlier one wrote of the bucket stays.
    if old[3] == '1' or greater(old[4] or '0', ARGV[5]) then return 0 end
  elseif old[1] == ARGV[1] then
    local was, is = tonumber(old[2]) or 0, tonumber(ARGV[2])
    if was > is or (was == is and (old[3] or '0') > ARGV[3]) then return 0 end
  end
end

redis.call('DEL', KEYS[1], KEYS[2])
local items = 7 + tonumber(ARGV[6])
redis.call('HSET', KEYS[2], unpack(ARGV, 7, items - 1))
-- unpack cannot take arguments without end.
for first = items, #ARGV, 1000 do
  redis.call('ZADD', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
local ttl = tonumber(ARGV[4])
if ttl > 0 then
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
end
return 1
