-- KEYS heartbeats, unusable | ARGV consumer, its report of the vendors it can't call ('' if it can call all)
-- Returns the run id of this Redis, and its time in microseconds.
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000 + time[2] / 1000), ARGV[1])
if ARGV[2] == '' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return { string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), string.format('%.0f', time[1] * 1000000 + time[2]) }
