-- Settles jobs: acknowledges and deletes entries, frees in-flight slots, refunds permits, adds fresh entries, and wakes
-- requests that wait for a job to end.
-- KEYS retries, jobs, freed, log, in_flight, state, waited, ended, and polls if one of the entries is a poll
-- ARGV six per job: stream ('retries', 'jobs', 'polls' or ''), entry id, job id, frees_slot ('', '1', or 'final': the job has
--      ended), charge to refund ('' or microseconds), requeue ('': no fresh entry; 'always'; 'pending': only if the old
--      entry was still pending, so that it happens once)
local streams = { retries = KEYS[1], jobs = KEYS[2], polls = KEYS[9] }
local ended = 0
local any_waits -- asked once, and only if a job is final
local probe = redis.call('HGET', KEYS[6], 'probe_entry')
for i = 1, #ARGV, 6 do
  local stream, entry, job, frees_slot, charge, requeue = unpack(ARGV, i, i + 5)
  local was_pending = 0
  if entry ~= '' then
    was_pending = redis.call('XACK', streams[stream], 'workers', entry)
    redis.call('XDEL', streams[stream], entry)
    -- A probe ends with its entry, even if it was never reported. The next one may then start at once.
    if probe == stream .. entry then
      redis.call('HDEL', KEYS[6], 'probe', 'probe_until', 'probe_entry')
      redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'slot', '1')
    end
  end
  if requeue == 'always' or (requeue == 'pending' and was_pending == 1) then
    redis.call('XADD', KEYS[1], '*', 'v', '1', 'job', job)
  end
  ended = ended + was_pending
  if frees_slot ~= '' then ended = ended + redis.call('ZREM', KEYS[5], job) end
  if frees_slot == 'final' then
    if any_waits == nil then any_waits = redis.call('EXISTS', KEYS[7]) == 1 end
    if any_waits and redis.call('ZREM', KEYS[7], job) == 1 then
      redis.call('XADD', KEYS[8], 'MAXLEN', '~', 1000, '*', 'id', job)
    end
  end
  if charge ~= '' and redis.call('LREM', KEYS[4], 1, charge) == 1 then
    redis.call('HSET', KEYS[6], 'newest', redis.call('LINDEX', KEYS[4], 0) or 0) -- or an emptied log would look lost
    redis.call('HINCRBY', KEYS[6], 'pace', -tonumber(redis.call('HGET', KEYS[6], 'gap') or 0)) -- its place in the pace
  end
end
-- Workers wait for a slot only if take found none.
if ended > 0 and redis.call('HDEL', KEYS[6], 'full') == 1 then
  redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'slot', '1')
end
return ended
