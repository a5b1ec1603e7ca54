-- KEYS sweeper | ARGV worker, milliseconds
-- Returns 'new' where the worker leads from now on, 'still' where it did before, '' where another one does.
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return '' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return leader and 'still' or 'new'
