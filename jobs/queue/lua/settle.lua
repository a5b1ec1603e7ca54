-- Ends what a worker had in hand: acknowledges entries, frees in-flight slots, gives permits back, adds fresh entries.
-- KEYS retries, jobs, freed, log, in_flight, state
-- ARGV six a job: stream ('retries', 'jobs' or ''), entry id, job id, releases ('1' or ''), charge ('' or microseconds),
--      requeue: '' no fresh entry, 'always', or 'pending': only if the old one was still pending, for else somebody has dealt with it
local streams = { retries = KEYS[1], jobs = KEYS[2] }
local ended = 0
local probe = redis.call('HGET', KEYS[6], 'probe_entry')
for i = 1, #ARGV, 6 do
  local stream, entry, job, releases, charge, requeue = unpack(ARGV, i, i + 5)
  local was_pending = 0
  if entry ~= '' then
    was_pending = redis.call('XACK', streams[stream], 'workers', entry)
    redis.call('XDEL', streams[stream], entry)
    -- A probe ends with its entry, also where nobody could report it: then the next may go at once.
    if probe == stream .. entry then
      redis.call('HDEL', KEYS[6], 'probe', 'probe_until', 'probe_entry')
      redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'slot', '1')
    end
  end
  if requeue == 'always' or (requeue == 'pending' and was_pending == 1) then
    redis.call('XADD', KEYS[1], '*', 'v', '1', 'job', job)
  end
  ended = ended + was_pending
  if releases == '1' then ended = ended + redis.call('ZREM', KEYS[5], job) end
  if charge ~= '' and redis.call('LREM', KEYS[4], 1, charge) == 1 then
    redis.call('HSET', KEYS[6], 'newest', redis.call('LINDEX', KEYS[4], 0) or 0) -- else an emptied log would seem to be lost
    redis.call('HINCRBY', KEYS[6], 'pace', -tonumber(redis.call('HGET', KEYS[6], 'gap') or 0)) -- its place in the pace, too
  end
end
-- Only where take has found no slot is somebody waiting for one.
if ended > 0 and redis.call('HDEL', KEYS[6], 'full') == 1 then
  redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'slot', '1')
end
return ended
