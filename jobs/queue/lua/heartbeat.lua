-- KEYS heartbeats, unusable, workers, orders
-- ARGV consumer, its report of the vendors it can't call ('' if it can call all), what else it reports, the order that it obeyed last
-- Returns the run id of this Redis, its time in microseconds, and the worker's order ('' if there is none that it has not obeyed).
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + time[2] / 1000)
redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
if ARGV[2] == '' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
redis.call('HSET', KEYS[3], ARGV[1], now_ms .. ' ' .. ARGV[3])
local order = redis.call('HGET', KEYS[4], ARGV[1]) or ''
if order ~= '' and order == ARGV[4] then
  redis.call('HDEL', KEYS[4], ARGV[1])
  order = ''
end
return { string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), string.format('%.0f', time[1] * 1000000 + time[2]), order }
