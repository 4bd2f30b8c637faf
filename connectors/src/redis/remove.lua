-- Removes a ranking and its meta hash, unless a later run has written them, or nobody that writes rankings did.
-- KEYS: the ranking, its meta. ARGV: epoch; how: live, also what an earlier run has written of any time, or early, only of
-- a time that this one has come to; the newest end of the window that this run has written.
local function greater(a, b) return #a > #b or (#a == #b and a > b) end

if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then return {'absent'} end
local old = redis.call('HMGET', KEYS[2], 'epoch', 'window_end')
local epoch = old[1] or ''
if not string.match(epoch, '^%d+$') or #epoch > 19 then return {'absent'} end
if greater(epoch, ARGV[1]) then return {'newer', epoch} end
local later = (tonumber(old[2]) or 0) > tonumber(ARGV[3])
if ARGV[2] == 'early' and epoch ~= ARGV[1] and later then return {'early'} end
redis.call('DEL', KEYS[2])
if redis.call('TYPE', KEYS[1]).ok == 'zset' then redis.call('DEL', KEYS[1]) end
return {'removed'}
