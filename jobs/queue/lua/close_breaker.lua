-- Closes a vendor's open breaker by hand, as a successful probe would: calls begin again with one at a time.
-- KEYS state, freed
-- Returns 1, or 0 if it was not open.
local STATE, FREED = unpack(KEYS)
if redis.call('HEXISTS', STATE, 'open_until') == 0 then return 0 end
local time = redis.call('TIME')
redis.call('HDEL', STATE, 'open_until', 'opened_at', 'open_code', 'failures', 'throttled_at', 'probe', 'probe_until', 'probe_entry')
redis.call('HSET', STATE, 'recovering', '1', 'closed_at', string.format('%.0f', time[1] * 1000000 + time[2]))
redis.call('XADD', FREED, 'MAXLEN', 1, '*', 'slot', '1')
return 1
