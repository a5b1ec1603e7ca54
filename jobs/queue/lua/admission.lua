-- What holds a vendor's calls, or how many may start with which key of its credential. Runs after limits.lua, before take and held.
-- KEYS, after those of the buckets: retries, jobs, pause, heartbeats; then for each key its pause, if it has a name, and its polls, if it is
-- used for them
-- own arguments: units of a call, units of a poll, number of keys; for each its name ('' for a vendor without a credential) and what it may
-- be used for ('calls', 'polls' or 'calls polls'); then how many entries are wanted, and those of the script
local position = 4 * #buckets + 4 -- in KEYS
local RETRIES, JOBS, PAUSE, HEARTBEATS = unpack(KEYS, position - 3, position)
local STATE, FREED = buckets[1].hash, buckets[1].freed

local weight, poll_weight, keys, is_polled = tonumber(ARGV[own]), tonumber(ARGV[own + 1]), {}, false
for i = 1, tonumber(ARGV[own + 2]) do
  local name, uses, pause_us, polls = ARGV[own + 1 + 2 * i], ARGV[own + 2 + 2 * i], 0, nil
  if name ~= '' then
    position = position + 1
    pause_us = math.max(0, 1000 * redis.call('PTTL', KEYS[position]))
  end
  if uses ~= 'calls' then
    position = position + 1
    polls, is_polled = KEYS[position], true
  end
  keys[i] = { index = i, name = name, calls = uses ~= 'polls', polls = polls, pause_us = pause_us, buckets = buckets, no_polls = false }
end
own = own + 3 + 2 * #keys
local want = math.min(MAX_UNITS, tonumber(ARGV[own]))
if keys[2] then
  for _, key in ipairs(keys) do
    key.buckets = {}
    for _, bucket in ipairs(buckets) do
      if bucket.key == '' or bucket.key == key.name then key.buckets[#key.buckets + 1] = bucket end
    end
  end
end

-- What holds all calls of the vendor, for how many microseconds at most, and the stream that grows if it ends earlier.
local held_by, held_us, wakes
local pause_ms = redis.call('PTTL', PAUSE)
if pause_ms > 0 then
  held_by, held_us = 'pause', pause_ms * 1000
elseif open_until then -- an open breaker lets one probe through at a time, from open_until on
  probe_until, open_until = tonumber(probe_until or 0), tonumber(open_until)
  if probe_until > now then
    held_by, held_us, wakes = 'breaker', probe_until - now, FREED
  elseif open_until > now then
    held_by, held_us = 'breaker', open_until - now
  end
  want = 1
elseif recovering then
  -- After an outage the number of concurrent calls grows again from one. An entry is pending while its call is in progress. Calls
  -- that started before the outage ended may hang for long, and do not count.
  local allowed = tonumber(recovering)
  local idle_ms = math.floor(now / 1000) - math.floor(tonumber(closed_at or 0) / 1000) + 1
  local streams = { RETRIES, JOBS }
  for _, key in ipairs(keys) do streams[#streams + 1] = key.polls end
  for _, stream in ipairs(streams) do
    local calls = redis.pcall('XPENDING', stream, 'workers')[1] or 0 -- none if the group is gone
    local older = calls > 0 and #redis.call('XPENDING', stream, 'workers', 'IDLE', text(idle_ms), '-', '+', calls) or 0
    allowed = allowed - (calls - older)
  end
  want = math.min(want, allowed)
  if want <= 0 then held_by, held_us, wakes = 'recovery', FOREVER, FREED end
end

-- What each bucket permits now: units by its windows and quota, units by its pace (negative: none yet), and slots in flight. One call more
-- than is wanted: if there is room for it, nobody has to ask again when it will be.
local most_units = math.min(MAX_UNITS, (want + 1) * math.max(weight, poll_weight))
for i = 1, held_by and 0 or #buckets do
  local bucket, units = buckets[i], most_units
  local windows = bucket.windows
  if bucket.ranges then units = math.max(0, math.min(units, left_of(bucket))) end
  bucket.paced = bucket.gap and math.floor((now - bucket.paced_from) / bucket.gap) or MAX_UNITS
  if bucket.paced >= 0 then
    for w = 1, #windows do units = room_in(bucket, windows[w], units) end
  end
  bucket.units = units
  bucket.slots = bucket.cap > 0 and bucket.cap - redis.call('ZCARD', bucket.in_flight) or math.huge
end

-- Returns the microseconds until this key permits a call of so many units, the bucket that takes longest (nil: its pause), and whether
-- that is its quota.
local function wait_of(key, units)
  local wait, slowest, is_quota = key.pause_us, nil, false
  for i = 1, units > 0 and #key.buckets or 0 do
    local bucket = key.buckets[i]
    local for_units, by_quota = wait_for(bucket, units)
    if for_units > wait then wait, slowest, is_quota = for_units, bucket, by_quota end
    if bucket.gap and bucket.paced_from - now > wait then wait, slowest, is_quota = bucket.paced_from - now, bucket, false end
  end
  return wait, slowest, is_quota
end
