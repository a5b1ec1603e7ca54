-- KEYS retries, jobs, intact_since
-- Returns now; then for each stream when its first undelivered entry was added (now, where all are delivered); then since when
-- the streams are whole, '' where nobody has said so since Redis lost them. All in milliseconds.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + time[2] / 1000)

-- Without a group nothing was delivered: an entry makes its stream, but the group comes with the first worker that asks.
local function delivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, flat in ipairs(groups.err and {} or groups) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    if group.name == 'workers' then return group['last-delivered-id'] end
  end
  return '0-0'
end

local function head(stream)
  local first = redis.call('XRANGE', stream, '(' .. delivered(stream), '+', 'COUNT', 1)[1]
  return first and string.match(first[1], '^(%d+)') or now
end

return { now, head(KEYS[1]), head(KEYS[2]), redis.call('GET', KEYS[3]) or '' }
