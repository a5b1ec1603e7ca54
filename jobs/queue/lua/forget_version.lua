-- KEYS state | ARGV version
-- Forgets the version of a definition if it is still that one. The next take names another.
if redis.call('HGET', KEYS[1], 'version') == ARGV[1] then redis.call('HDEL', KEYS[1], 'version') end
