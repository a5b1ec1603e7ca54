-- Makes log and flight true again from the rows, and the groups anew where they are gone. After limits.lua.
-- own arguments: number of starts, each in microseconds, newest first; then the jobs in flight
if gate.run_id ~= run_id or clock_went_back then
  redis.call('DEL', LOG, FLIGHT, GATE)
  gate = {}
end
-- What the log still knows is exact; the rows add what is older than that.
local oldest = tonumber(redis.call('LINDEX', LOG, -1) or now + 1)
local starts = tonumber(ARGV[own])
for i = own + 1, own + starts do
  local start = math.min(tonumber(ARGV[i]), now)
  if start < oldest then redis.call('RPUSH', LOG, text(start)) end
end
length = math.max(length, tonumber(gate.length or 0))
redis.call('PEXPIRE', LOG, text(length / 1000 + 1000))
for i = own + starts + 1, #ARGV do redis.call('ZADD', FLIGHT, text(now / 1000), ARGV[i]) end
for _, stream in ipairs({ AGAIN, JOBS }) do
  redis.pcall('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
end
redis.call('HSET', GATE, 'run_id', run_id, 'depth', math.max(depth, tonumber(gate.depth or 0)), 'length', text(length))
return 'ok'
