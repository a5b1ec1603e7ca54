-- Ends a token request. Nothing is kept of one whose lease has ended while somebody else asks for a token, or has got one.
-- KEYS token, lease, failure
-- ARGV the id of the lease, the sealed token ('' if there is none), its life, what is left of it, the failure as JSON, how long to keep
-- that (ms)
local TOKEN, LEASE, FAILURE = unpack(KEYS)
local id, sealed, life, left, failure, kept = unpack(ARGV)
local holder = redis.call('GET', LEASE)
if holder ~= id and (holder or redis.call('EXISTS', TOKEN) == 1) then return 0 end
redis.call('DEL', LEASE)
if sealed == '' then
  redis.call('SET', FAILURE, failure, 'PX', kept)
  return 1
end
redis.call('DEL', FAILURE)
redis.call('HSET', TOKEN, 'sealed', sealed, 'life', life)
redis.call('PEXPIRE', TOKEN, left)
return 1
