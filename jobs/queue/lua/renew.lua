-- Replaces a permit that was not used in time. It keeps its place in the pace. Runs after limits.lua.
-- own arguments: the charge to return ('' if it was returned before), job id ('' for a poll, whose job is in flight anyway), cap on
-- jobs in flight (0: none)
-- Returns whether the job may start, its new charge ('' without windows) and, if it may not, the microseconds until it is
-- worth asking again.
local old, job, cap = ARGV[own], ARGV[own + 1], tonumber(ARGV[own + 2])
local FOREVER = 3600 * 1000000

if is_stale then return { 0, '', 100000 } end
if old ~= '' and redis.call('LREM', LOG, 1, old) == 1 then
  newest = tonumber(redis.call('LINDEX', LOG, 0) or 0)
  redis.call('HSET', STATE, 'newest', text(newest))
end
local pause_ms = redis.call('PTTL', PAUSE)
if pause_ms > 0 then return { 0, '', pause_ms * 1000 } end
-- The slot that take reserved is gone if Redis lost its data before the row recorded that the job has started.
if cap > 0 and not redis.call('ZSCORE', IN_FLIGHT, job) and redis.call('ZCARD', IN_FLIGHT) >= cap then return { 0, '', FOREVER } end
if wait_for_windows() > 0 then return { 0, '', text(wait_for_windows()) } end
if job ~= '' then redis.call('ZADD', IN_FLIGHT, 'NX', text(now / 1000), job) end
return { 1, #windows > 0 and text(charge(1)) or '', 0 }
