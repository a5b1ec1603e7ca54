-- Replaces a permit that was not used in time. It keeps its place in the pace. Runs after limits.lua and refund.lua.
-- KEYS, after those of the buckets: pause, and that of the key, if it has one
-- own arguments: the charge to return ('' if it was returned before), its units, job id ('' for a call that needs no slot)
-- Returns whether the job may start, its new charge ('' without windows) and, if it may not, the microseconds until it is
-- worth asking again.
local old, units, job = argument(), tonumber(argument()), argument()

if #outdated > 0 or #stale > 0 then return { 0, '', 100000 } end
for _, bucket in ipairs(old ~= '' and buckets or {}) do refund(bucket, tonumber(old), units) end
for i = 4 * #buckets + 1, #KEYS do
  local pause_ms = redis.call('PTTL', KEYS[i])
  if pause_ms > 0 then return { 0, '', pause_ms * 1000 } end
end
local wait = 0
for _, bucket in ipairs(buckets) do
  -- The slot that take reserved is gone if Redis lost its data before the row recorded that the job has started.
  if job ~= '' and bucket.cap > 0 and not redis.call('ZSCORE', bucket.in_flight, job)
    and redis.call('ZCARD', bucket.in_flight) >= bucket.cap then return { 0, '', text(FOREVER) } end
  wait = math.max(wait, (wait_for(bucket, units)))
end
if wait > 0 then return { 0, '', text(wait) } end
for _, bucket in ipairs(job ~= '' and buckets or {}) do
  if bucket.member == '' or bucket.cap > 0 then redis.call('ZADD', bucket.in_flight, 'NX', text(now / 1000), job) end
end
local fresh = charge(buckets, units)
return { 1, fresh > 0 and text(fresh) or '', 0 }
