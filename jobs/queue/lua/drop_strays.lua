-- Takes jobs out of in_flight that the rows do not know there, unless they were taken again meanwhile.
-- KEYS in_flight, state, freed | ARGV two a job: job id, its score when it was looked at
local slots = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then slots = slots + redis.call('ZREM', KEYS[1], ARGV[i]) end
end
if slots > 0 and redis.call('HDEL', KEYS[2], 'full') == 1 then redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'slot', '1') end
return slots
