-- Takes, renews or gives back the right to write a window's rankings. A newer run that has it keeps it.
-- KEYS: the lease. ARGV: the run, the least epoch that it would write with, how long it is to have it in ms (0: no
-- longer), then fields and values that it tells of itself.
-- Answers who has it then: the run, its epoch, and the run that had it before, empty where nobody had.
local function greater(a, b) return #a > #b or (#a == #b and a > b) end

local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return {'foreign', KEYS[1], kind} end
local owner = redis.call('HMGET', KEYS[1], 'run', 'epoch')
local run, epoch = owner[1] or '', owner[2] or '0'
if kind == 'hash' and not (string.match(run, '^%d+$') and string.match(epoch, '^%d+$')) then
  return {'foreign', KEYS[1], kind}
end
if greater(run, ARGV[1]) then return {'owner', run, epoch, run} end
if ARGV[3] == '0' then
  if run == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return {'owner', '0', '0', run}
end
local mine = ARGV[2]
if not greater(mine, epoch) then
  -- What another run may still be about to write is refused.
  mine = run == ARGV[1] and epoch or string.format('%.0f', tonumber(epoch) + 1)
end
-- Where it exists this is the first write, so that a full server does not take it away from who has it.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'epoch', mine, unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'owner', ARGV[1], mine, run}
