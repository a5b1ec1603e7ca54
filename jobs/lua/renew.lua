-- Trades a permit that was not used in time for a fresh one. After limits.lua.
-- own argument: the charge to give back, or '' when that has been done
-- Returns the new charge (or '') and, without one, the microseconds until it is worth asking again.
if redis.call('LREM', LOG, 1, ARGV[own]) == 1 then
  gate.pace = redis.call('HINCRBY', GATE, 'pace', -tonumber(gate.gap or 0))
end
newest = tonumber(redis.call('LINDEX', LOG, 0) or 0)
if is_stale() then return { '', 100000 } end
local held = redis.call('PTTL', HOLD)
if held > 0 then return { '', held * 1000 } end
if permitted(1) == 0 then return { '', text(wait_for_one()) } end
return { text(charge(1)), 0 }
