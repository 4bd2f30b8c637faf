-- Removes a ranking and its meta hash, unless a later run has written them, or nobody that writes rankings did.
-- KEYS: the ranking, its meta. ARGV: epoch, how: live, also what an earlier run has written; early, only what this one has.
local function greater(a, b) return #a > #b or (#a == #b and a > b) end

if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then return {'absent'} end
local epoch = redis.call('HGET', KEYS[2], 'epoch') or ''
if not string.match(epoch, '^%d+$') or #epoch > 19 then return {'absent'} end
if greater(epoch, ARGV[1]) then return {'newer', epoch} end
if ARGV[2] == 'early' and epoch ~= ARGV[1] then return {'early'} end
redis.call('DEL', KEYS[2])
if redis.call('TYPE', KEYS[1]).ok == 'zset' then redis.call('DEL', KEYS[1]) end
return {'removed'}
