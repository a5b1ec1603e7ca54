-- Replaces a permit that was not used in time. It keeps its place in the pace. Runs after limits.lua and refund.lua.
-- KEYS, after those of the buckets: pause, and that of the key, if it has one
-- own arguments: the charge to return ('' if it was returned before), its units, job id ('' for a call that needs no slot)
-- Returns whether the job may start, the charge that counts for it now ('' if none), and, if it may not, the microseconds until it is
-- worth asking again.
local old, units, job = ARGV[own], tonumber(ARGV[own + 1]), ARGV[own + 2]

if #outdated > 0 or #stale > 0 then return { 0, old, 100000 } end -- nothing was returned
for _, bucket in ipairs(old ~= '' and buckets or {}) do
  local returned, newest = refund(bucket.log, bucket.hash, tonumber(old), units)
  bucket.newest = newest or bucket.newest
  if returned > 0 and bucket.ranges then read_left(bucket) end
end
for i = 4 * #buckets + 1, #KEYS do
  local pause_ms = redis.call('PTTL', KEYS[i])
  if pause_ms > 0 then return { 0, '', pause_ms * 1000 } end
end
local wait = 0
for _, bucket in ipairs(buckets) do
  wait = math.max(wait, (wait_for(bucket, units)))
  -- The slot that take reserved is gone if Redis lost its data before the row recorded that the job has started.
  if job ~= '' and bucket.cap > 0 and not redis.call('ZSCORE', bucket.in_flight, job)
    and redis.call('ZCARD', bucket.in_flight) >= bucket.cap then wait = FOREVER end
end
if wait > 0 then return { 0, '', text(wait) } end
for _, bucket in ipairs(job ~= '' and buckets or {}) do
  if not bucket.is_shared or bucket.cap > 0 then redis.call('ZADD', bucket.in_flight, 'NX', text(now / 1000), job) end
end
local fresh = charge(buckets, units)
return { 1, fresh > 0 and text(fresh) or '', 0 }
