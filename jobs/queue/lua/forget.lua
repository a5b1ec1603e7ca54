-- Deletes a consumer that has no pending entries. With pending entries it stays: they could never be delivered again.
-- KEYS streams | ARGV consumer
for _, stream in ipairs(KEYS) do
  local pending = redis.pcall('XPENDING', stream, 'workers', '-', '+', 1, ARGV[1])
  if not pending.err and #pending == 0 then redis.pcall('XGROUP', 'DELCONSUMER', stream, 'workers', ARGV[1]) end
end
