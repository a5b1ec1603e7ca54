-- Checks that Redis takes a worker's commands, on a key that never exists, and that our keys have the right types.
-- KEYS the key that never exists, then the keys to check | ARGV the type of each key to check
-- Returns the first key of another type, or ''. Raises what Redis refuses.
local NONE = KEYS[1]
local commands = {
  { 'XADD', NONE, 'NOMKSTREAM', '*', 'v', '1' },
  { 'XREADGROUP', 'GROUP', 'workers', 'probe', 'COUNT', 1, 'STREAMS', NONE, '>' },
  { 'XPENDING', NONE, 'workers' },
  { 'XACK', NONE, 'workers', '0-0' },
  { 'XDEL', NONE, '0-0' },
  { 'SET', NONE, '1', 'XX' },
  { 'ZADD', NONE, 'XX', 1, 'job' },
  { 'HDEL', NONE, 'field' },
  { 'LREM', NONE, 0, 'start' },
}
for _, command in ipairs(commands) do
  local reply = redis.pcall(unpack(command))
  local err = type(reply) == 'table' and reply.err
  if err and not string.find(err, 'NOGROUP', 1, true) then return reply end
end
for i, type_ in ipairs(ARGV) do
  local found = redis.call('TYPE', KEYS[i + 1]).ok
  if found ~= 'none' and found ~= type_ then return KEYS[i + 1] end
end
return ''
