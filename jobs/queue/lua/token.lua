-- Reads the token of a credential, and decides who asks for a new one.
-- KEYS token (hash: sealed, life in ms; it expires with the token), lease, failure
-- ARGV an id for the lease, its length (ms)
-- Returns the sealed token ('' if there is none), its life and what is left of it (ms), and what to do: use, ask (the caller has the
-- lease now), wait, or the failure of the last request as JSON. While a token is left, it serves, whatever else is to be done.
local TOKEN, LEASE, FAILURE = unpack(KEYS)
local sealed, life = unpack(redis.call('HMGET', TOKEN, 'sealed', 'life'))
local left = redis.call('PTTL', TOKEN)
if not sealed or left <= 0 then sealed, life, left = '', 0, 0 end
life = tonumber(life)
local function answer(what) return { sealed, life, left, what } end

if left > 0 and left * 5 > life then return answer('use') end -- renewed at 80 % of its life
local failure = redis.call('GET', FAILURE)
if failure then return answer(failure) end
if redis.call('SET', LEASE, ARGV[1], 'NX', 'PX', ARGV[2]) then return answer('ask') end
return answer('wait')
