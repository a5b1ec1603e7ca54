-- KEYS retries, jobs, intact_since
-- Returns, in milliseconds: the time now; for each stream, when its first undelivered entry was added (now, if all are
-- delivered); and since when the streams are intact ('' if this is unknown because Redis lost the key).
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + time[2] / 1000)

-- The first entry creates the stream, but only a worker creates the group: until then nothing was delivered.
local function last_delivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, flat in ipairs(groups.err and {} or groups) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    if group.name == 'workers' then return group['last-delivered-id'] end
  end
  return '0-0'
end

local function head(stream)
  local first = redis.call('XRANGE', stream, '(' .. last_delivered(stream), '+', 'COUNT', 1)[1]
  return first and string.match(first[1], '^(%d+)') or now
end

return { now, head(KEYS[1]), head(KEYS[2]), redis.call('GET', KEYS[3]) or '' }
