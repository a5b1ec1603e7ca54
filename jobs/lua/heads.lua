-- KEYS again, jobs
-- Returns for each stream when its first undelivered entry was added, in milliseconds; now, where all are delivered.
local time = redis.call('TIME')
local now, heads = string.format('%.0f', time[1] * 1000 + time[2] / 1000), {}
for i, stream in ipairs(KEYS) do
  heads[i] = now
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, flat in ipairs(groups.err and {} or groups) do
    local group = {}
    for j = 1, #flat, 2 do group[flat[j]] = flat[j + 1] end
    local head = redis.call('XRANGE', stream, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
    if head then heads[i] = string.match(head[1], '^(%d+)') end
  end
end
return heads
