-- Whether a vendor's calls may start now, and how many with which key of its credential. Runs after limits.lua, before take and held.
-- KEYS, after those of the buckets: retries, jobs, pause, heartbeats; then for each key its pause (that of the vendor, if it has none) and
-- its polls
-- own arguments: units of a call, units of a poll, number of keys; for each its name and what it may be used for ('calls', 'polls' or
-- 'calls polls'); then how many entries are wanted, and those of the script
local AFTER_BUCKETS = 4 * #buckets
local RETRIES, JOBS, PAUSE, HEARTBEATS = unpack(KEYS, AFTER_BUCKETS + 1, AFTER_BUCKETS + 4)
local STATE, FREED, IN_FLIGHT, state = buckets[1].hash, buckets[1].freed, buckets[1].in_flight, buckets[1].state
local MAX = 1000 -- as MAX_UNITS

local weight, poll_weight = tonumber(argument()), tonumber(argument())
local keys, is_polled = {}, false
for i = 1, tonumber(argument()) do
  local key = { index = i, name = argument(), buckets = {} }
  local uses = argument()
  key.calls = string.find(uses, 'calls', 1, true) ~= nil
  key.pause = KEYS[AFTER_BUCKETS + 3 + 2 * i]
  key.polls = string.find(uses, 'polls', 1, true) and KEYS[AFTER_BUCKETS + 4 + 2 * i]
  key.used = tonumber(state['used:' .. key.name] or 0) -- when an entry was last taken with it
  key.pause_us = key.pause ~= PAUSE and math.max(0, 1000 * redis.call('PTTL', key.pause)) or 0
  for _, bucket in ipairs(buckets) do
    if bucket.key == '' or bucket.key == key.name then key.buckets[#key.buckets + 1] = bucket end
  end
  is_polled = is_polled or key.polls
  keys[i] = key
end
local want = math.min(MAX, tonumber(argument()))

-- Returns what holds all calls of the vendor, if anything does: its kind, for how many microseconds at most, and the stream that grows if
-- it ends earlier.
local function hold_of_vendor()
  local pause_ms = redis.call('PTTL', PAUSE)
  if pause_ms > 0 then return 'pause', pause_ms * 1000 end
  -- An open breaker lets one probe through at a time, from open_until on.
  if state.open_until then
    local probe_until, open_until = tonumber(state.probe_until or 0), tonumber(state.open_until)
    if probe_until > now then return 'breaker', probe_until - now, FREED end
    if open_until > now then return 'breaker', open_until - now end
  end
end

-- After an outage the number of concurrent calls grows again from one. An entry is pending while its call is in progress. Calls
-- that started before the outage ended may hang for long, and do not count. Returns how many more may start.
local function room_in_recovery()
  local allowed = tonumber(state.recovering)
  local idle_ms = math.floor(now / 1000) - math.floor(tonumber(state.closed_at or 0) / 1000) + 1
  local streams = { RETRIES, JOBS }
  for _, key in ipairs(keys) do streams[#streams + 1] = key.polls or nil end
  for _, stream in ipairs(streams) do
    local calls = redis.pcall('XPENDING', stream, 'workers')[1] or 0 -- none if the group is gone
    local older = calls > 0 and #redis.call('XPENDING', stream, 'workers', 'IDLE', text(idle_ms), '-', '+', calls) or 0
    allowed = allowed - (calls - older)
  end
  return allowed
end

-- Sets what a bucket permits now: units by its windows and quota, units by its pace (negative: none yet), and slots in flight.
local function measure(bucket)
  -- One call more than is wanted: if there is room for it, nobody has to ask again when it will be.
  bucket.units, bucket.paced = math.min(MAX_UNITS, (want + 1) * math.max(weight, poll_weight)), MAX
  if bucket.ranges then bucket.units = math.max(0, math.min(bucket.units, left_of_quota(bucket))) end
  if bucket.is_paced then
    bucket.paced = math.floor((now - bucket.paced_from) / bucket.gap)
    for _, window in ipairs(bucket.paced >= 0 and bucket.windows or {}) do
      bucket.units = room_in(bucket, window, bucket.units)
    end
  end
  bucket.slots = bucket.cap > 0 and bucket.cap - redis.call('ZCARD', bucket.in_flight) or math.huge
end

-- Returns how many calls of so many units may start with this key.
local function room_for(key, units, needs_slot)
  local room = key.pause_us > 0 and 0 or want
  for _, bucket in ipairs(key.buckets) do
    if units > 0 then
      if bucket.paced < 0 then return 0 end
      -- A call may start when the pace has it due, however many units later the next one is due.
      room = math.min(room, math.floor(bucket.units / units), math.floor(bucket.paced / units) + 1)
    end
    if needs_slot then room = math.min(room, bucket.slots) end
  end
  return math.max(0, room)
end

-- Returns the microseconds until this key permits a call of so many units, the bucket that takes longest (nil: its pause), and whether
-- that is its quota.
local function wait_of(key, units)
  local wait, slowest, is_quota = key.pause_us, nil, false
  for _, bucket in ipairs(units > 0 and key.buckets or {}) do
    local for_units, by_quota = wait_for(bucket, units)
    local for_bucket = math.max(for_units, bucket.is_paced and bucket.paced_from - now or 0)
    if for_bucket > wait then wait, slowest, is_quota = for_bucket, bucket, by_quota and for_bucket == for_units end
  end
  return wait, slowest, is_quota
end
