-- KEYS state | ARGV the version that it had when it refused an older one, the version to set
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2])
return 1
