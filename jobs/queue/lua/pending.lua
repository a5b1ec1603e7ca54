-- KEYS streams | ARGV consumer, count
-- Returns three values per entry pending at the consumer: its stream's key, entry id, job id ('' if the entry was deleted).
local reply = {}
for _, stream in ipairs(KEYS) do
  local pending = redis.pcall('XPENDING', stream, 'workers', '-', '+', ARGV[2], ARGV[1])
  for _, item in ipairs(pending.err and {} or pending) do
    local entry = redis.call('XRANGE', stream, item[1], item[1])[1]
    local fields = {}
    for j = 1, entry and #entry[2] or 0, 2 do fields[entry[2][j]] = entry[2][j + 1] end
    for _, part in ipairs({ stream, item[1], fields.job or '' }) do reply[#reply + 1] = part end
  end
end
return reply
