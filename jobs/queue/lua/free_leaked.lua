-- Frees in-flight slots that no row accounts for, unless their job was taken again since they were read.
-- KEYS in_flight, state, freed | ARGV two per job: job id, the score it had when it was read
-- Returns how many slots were freed.
local slots = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then slots = slots + redis.call('ZREM', KEYS[1], ARGV[i]) end
end
if slots > 0 and redis.call('HDEL', KEYS[2], 'full') == 1 then redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'slot', '1') end
return slots
