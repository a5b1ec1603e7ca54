-- KEYS stream | ARGV count
-- Returns, for up to so many entries that no worker has taken, the entry's id, the job's id ('' if unreadable) and, of a poll, what
-- it is due by.
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
local after = '0-0'
for _, flat in ipairs(groups.err and {} or groups) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  if group.name == 'workers' then after = group['last-delivered-id'] end
end
local reply = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[1])) do
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  for _, part in ipairs({ entry[1], fields.job or '', fields.due or '' }) do reply[#reply + 1] = part end
end
return reply
