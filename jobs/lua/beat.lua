-- KEYS beats | ARGV consumer
-- Returns the run id of this Redis, and its time in microseconds.
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000 + time[2] / 1000), ARGV[1])
return { string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), string.format('%.0f', time[1] * 1000000 + time[2]) }
