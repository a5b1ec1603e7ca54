-- Takes or extends the lock of the worker that sweeps.
-- KEYS sweeper | ARGV worker, milliseconds
-- Returns 'new' if the worker has just become the leader, 'still' if it already was, '' if another worker is.
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return '' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return leader and 'still' or 'new'
