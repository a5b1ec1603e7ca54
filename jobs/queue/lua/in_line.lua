-- KEYS polls | ARGV count
-- Returns, for up to so many entries that no worker has taken, the job id and what it is due by ('' if unreadable).
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
  reply[#reply + 1], reply[#reply + 2] = fields.job or '', fields.due or ''
end
return reply
