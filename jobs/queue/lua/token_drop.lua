-- Forgets a token that the vendor refuses, unless it has been replaced.
-- KEYS token
-- ARGV the sealed token
if redis.call('HGET', KEYS[1], 'sealed') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
