-- Notes that a request waits for a job. Returns the newest entry of `ended`, after which to listen.
-- KEYS ended, waited (without it only the newest entry is returned) | ARGV job id, how long it waits in milliseconds
if KEYS[2] then
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now_ms))
  redis.call('ZADD', KEYS[2], 'GT', string.format('%.0f', now_ms + ARGV[2]), ARGV[1])
  redis.call('EXPIRE', KEYS[2], 60) -- longer than any wait
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return newest and newest[1] or '0-0'
