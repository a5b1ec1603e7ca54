-- Restores the log and in_flight of a vendor's own bucket from the rows, and creates missing groups. Runs after limits.lua.
-- KEYS, after those of the bucket: rebuilder, retries, jobs
-- own arguments: the token of the rebuilder's lock; the number of calls that have ended, and when each started in
-- microseconds, newest first; the number of calls in progress, and when each started as its row says; the jobs in flight
-- Returns 1, or 0 if another worker holds the lock by now: the rows that the caller has read are then too old.
local REBUILDER, RETRIES, JOBS = unpack(KEYS, 5, 7)
local bucket = buckets[1]
local LOG, IN_FLIGHT, STATE, state = bucket.log, bucket.in_flight, bucket.hash, bucket.state
local function times()
  local list = {}
  for i = 1, tonumber(argument()) do list[i] = tonumber(argument()) end
  return list
end

local token = argument()
if token ~= '' and redis.call('GET', REBUILDER) ~= token then return 0 end
redis.call('DEL', REBUILDER)

if state.run_id ~= run_id or math.max(bucket.newest, bucket.started) > now + CLOCK_SLACK then
  redis.call('DEL', LOG, IN_FLIGHT, STATE)
  state = {}
end
-- What the log still holds is exact. The rows add what is older.
local is_empty = redis.call('EXISTS', LOG) == 0
local oldest = tonumber(redis.call('LINDEX', LOG, -1) or now)
local function add(start, as) if is_empty or start < oldest then redis.call('RPUSH', LOG, text(math.min(as, oldest))) end end
local ended, calling = times(), times()
-- The permit of a call in progress may have been renewed since its row was written: it counts as late as possible.
for _, start in ipairs(calling) do add(start, oldest) end
for _, start in ipairs(ended) do add(start, start + 999) end -- some stores keep milliseconds only
local length = math.max(bucket.length, tonumber(state.length or 0))
redis.call('PEXPIRE', LOG, text(length / 1000 + 1000))

for i = position + 1, #ARGV do redis.call('ZADD', IN_FLIGHT, 'NX', text(now / 1000), ARGV[i]) end
for _, stream in ipairs({ RETRIES, JOBS }) do
  redis.pcall('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
end
local depth = math.max(bucket.depth, tonumber(state.depth or 0))
local newest = redis.call('LINDEX', LOG, 0) or 0
redis.call('HSET', STATE, 'run_id', run_id, 'depth', depth, 'length', text(length), 'newest', newest)
return 1
