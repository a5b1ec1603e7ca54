-- KEYS heartbeats | ARGV milliseconds
-- Returns the run id of this Redis, then the workers whose last heartbeat is older than that.
local time = redis.call('TIME')
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', time[1] * 1000 + time[2] / 1000 - ARGV[1]))
table.insert(silent, 1, string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'))
return silent
