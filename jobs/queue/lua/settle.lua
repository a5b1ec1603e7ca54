-- Settles jobs: acknowledges and deletes entries, frees in-flight slots, refunds permits, adds fresh entries, and wakes
-- requests that wait for a job to end. Runs after refund.lua.
-- KEYS retries, jobs, waited, ended; log, state, in_flight and freed of each bucket, the vendor's own first; then streams of polls
-- ARGV number of buckets, for each the key of the credential that it counts ('': all); then eight per job: stream ('retries', 'jobs', '',
--      or the index in KEYS of a stream of polls), entry id, job id, frees_slot ('', '1', or 'final': the job has ended), charge to refund
--      ('' or microseconds), its units, the key it was made with ('': none or unknown), and requeue ('': no fresh entry; 'always';
--      'pending': only if the old entry was still pending, so that it happens once)
local RETRIES, JOBS, WAITED, ENDED = unpack(KEYS, 1, 4)
local streams = { retries = RETRIES, jobs = JOBS }
local buckets = {}
for i = 1, tonumber(ARGV[1]) do
  buckets[i] = { log = KEYS[4 * i + 1], hash = KEYS[4 * i + 2], in_flight = KEYS[4 * i + 3], freed = KEYS[4 * i + 4], key = ARGV[1 + i], ended = 0 }
end
local own = buckets[1]

local any_waits -- asked once, and only if a job is final
local probe = redis.call('HGET', own.hash, 'probe_entry')
for i = #buckets + 2, #ARGV, 8 do
  local stream, entry, job, frees_slot, charge, units, key, requeue = unpack(ARGV, i, i + 7)
  local was_pending = 0
  if entry ~= '' then
    local name = streams[stream] or KEYS[tonumber(stream)] -- of polls
    was_pending = redis.call('XACK', name, 'workers', entry)
    redis.call('XDEL', name, entry)
    -- A probe ends with its entry, even if it was never reported. The next one may then start at once.
    if probe and probe == (streams[stream] and stream or 'polls') .. entry then
      redis.call('HDEL', own.hash, 'probe', 'probe_until', 'probe_entry')
      redis.call('XADD', own.freed, 'MAXLEN', 1, '*', 'slot', '1')
    end
  end
  if requeue == 'always' or (requeue == 'pending' and was_pending == 1) then
    redis.call('XADD', RETRIES, '*', 'v', '1', 'job', job)
  end
  own.ended = own.ended + was_pending
  for b = 1, (frees_slot ~= '' or charge ~= '') and #buckets or 0 do
    local bucket = buckets[b]
    local counts = bucket.key == '' or bucket.key == key
    if frees_slot ~= '' and (counts or key == '') then bucket.ended = bucket.ended + redis.call('ZREM', bucket.in_flight, job) end
    if charge ~= '' and counts then
      local returned = refund(bucket.log, bucket.hash, tonumber(charge), tonumber(units))
      local gap = returned > 0 and redis.call('HGET', bucket.hash, 'gap')
      if gap then redis.call('HINCRBY', bucket.hash, 'pace', -returned * gap) end -- its place in the pace
    end
  end
  if frees_slot == 'final' then
    if any_waits == nil then any_waits = redis.call('EXISTS', WAITED) == 1 end
    if any_waits and redis.call('ZREM', WAITED, job) == 1 then
      redis.call('XADD', ENDED, 'MAXLEN', '~', 1000, '*', 'id', job)
    end
  end
end
-- Workers wait for a slot only if take found none.
for _, bucket in ipairs(buckets) do
  if bucket.ended > 0 and redis.call('HDEL', bucket.hash, 'full') == 1 then
    redis.call('XADD', bucket.freed, 'MAXLEN', 1, '*', 'slot', '1')
  end
end
return own.ended
