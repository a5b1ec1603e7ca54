-- KEYS beats | ARGV consumer
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000 + time[2] / 1000), ARGV[1])
return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
