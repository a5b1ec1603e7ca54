-- Adds an entry for each job.
-- KEYS one stream for each vendor
-- ARGV for each stream: the number of its jobs, then their ids
-- A stream that refuses, because its key holds something else, does not keep the others from theirs.
local at, failed = 1, false
for _, stream in ipairs(KEYS) do
  local count = tonumber(ARGV[at])
  for i = at + 1, at + count do
    local reply = redis.pcall('XADD', stream, '*', 'v', '1', 'job', ARGV[i])
    if reply.err then
      failed = reply
      break
    end
  end
  at = at + count + 1
end
return failed
