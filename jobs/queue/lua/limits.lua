-- The buckets that count a vendor's calls, in units: windows as sliding-window logs, pace, and quotas by the calendar. Runs before
-- take, held, renew, rebuild and stale.
-- KEYS log, state, in_flight and freed of each bucket, the vendor's own first; then those of the script
-- ARGV number of buckets; for each: member ("slug:membership" of the vendor; '' for the vendor's own bucket), version of its definition,
--      cap on jobs in flight (0: none), number of windows, calls and length in microseconds of each, shortest first; and of a shared one
--      the key of the credential whose calls it counts ('': all), and its quota as a text ('': none), followed by its calls, the number
--      of ranges, and begin and end of each in microseconds; then the script's own arguments, from ARGV[own] on
-- A bucket's state: run_id of the Redis that its log and counters belong to; depth, length: starts and microseconds that the log covers;
-- newest start; pace: when the next start is due, gap: between two units, owed: units of the last start; version: the highest that a
-- take has named; quota: its text; spent:BEGIN:END: units of that range; estimated: when it was rebuilt, if calls were in progress;
-- rebuilt: older charges are not refunded; vendors: the members that it was rebuilt for, each between spaces; capped: 1 if in_flight is
-- kept; full: 1 if somebody waits for a slot. The vendor's own has its breaker, too.
-- The costs are commands, conversions between numbers and strings, closures, and calls such as those of ipairs: keep all of them few.
local FOREVER = 3600 * 1000000
local MAX_UNITS = 1000 -- in one charge: Lua passes at most a few thousand arguments to a command
local CLOCK_SLACK = 1000000 -- Redis' clock may go back by so much before the starts are counted again

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local run_id
do
  local info = redis.call('INFO', 'server')
  local _, before = string.find(info, 'run_id:', 1, true) -- plain: a pattern would take as long as INFO itself
  run_id = string.sub(info, before + 1, before + 40)
end

local function text(number) return string.format('%d', number) end

local buckets, stale, outdated = {}, {}, {} -- the last two: indexes of buckets
local open_until, probe_until, recovering, closed_at -- of the vendor's breaker
local own, any_quota, any_changed = 2, false, false
for i = 1, tonumber(ARGV[1]) do
  local log, hash = KEYS[4 * i - 3], KEYS[4 * i - 2]
  local member, version, cap = ARGV[own], ARGV[own + 1], tonumber(ARGV[own + 2])
  local is_shared, windows, depth, length = member ~= '', {}, 0, 0
  for w = 1, tonumber(ARGV[own + 3]) do
    local calls = tonumber(ARGV[own + 2 + 2 * w])
    length = tonumber(ARGV[own + 3 + 2 * w])
    windows[w] = { calls = calls, length = length, spare = 0 }
    if calls > depth then depth = calls end
  end
  own = own + 4 + 2 * #windows
  local key, quota, calls, ranges = '', '', nil, nil
  if is_shared then
    key, quota = ARGV[own], ARGV[own + 1]
    own = own + 2
  end
  if quota ~= '' then
    any_quota, calls, ranges = true, tonumber(ARGV[own]), {}
    for r = 1, tonumber(ARGV[own + 1]) do
      local from, to = ARGV[own + 2 * r], ARGV[own + 1 + 2 * r]
      ranges[r] = { from = tonumber(from), to = tonumber(to), field = 'spent:' .. from .. ':' .. to }
    end
    own = own + 2 + 2 * #ranges
  end

  local its_run_id, known_version, known_depth, known_length, newest, pace, last_gap, owed, vendors, known_quota, capped
  if not is_shared then
    its_run_id, known_version, known_depth, known_length, newest, pace, last_gap, owed, open_until, probe_until, recovering, closed_at =
      unpack(redis.call('HMGET', hash, 'run_id', 'version', 'depth', 'length', 'newest', 'pace', 'gap', 'owed',
        'open_until', 'probe_until', 'recovering', 'closed_at'))
  else
    its_run_id, known_version, known_depth, known_length, newest, pace, last_gap, owed, vendors, known_quota, capped =
      unpack(redis.call('HMGET', hash, 'run_id', 'version', 'depth', 'length', 'newest', 'pace', 'gap', 'owed',
        'vendors', 'quota', 'capped'))
  end
  known_depth, known_length, newest = tonumber(known_depth or 0), tonumber(known_length or 0), tonumber(newest or 0)
  -- Starts in the shortest window are paced: evenly apart, with one gap of catch-up, or 20 ms (a worker's round) if that is longer. The gap
  -- may have changed since the last start, which was due at `started`.
  local gap, paced_from = windows[1] and math.ceil(windows[1].length / windows[1].calls), nil
  owed, last_gap = tonumber(owed or 1), tonumber(last_gap or 0)
  local started = pace and pace - owed * last_gap or 0
  if gap then paced_from = math.max(started + owed * gap, now - math.max(gap, 20000)) end

  -- A bucket can't be trusted if Redis lost data or restarted, its clock went back, or the definition needs what is not known. The state
  -- holds the newest start too, so that a log that was deleted alone is noticed.
  local log_life_ms = gap and redis.call('PTTL', log)
  if its_run_id ~= run_id or newest > now + CLOCK_SLACK or started > now + CLOCK_SLACK
    or log_life_ms == -2 and newest + known_length >= now or known_depth < depth or known_length < length
    or is_shared and (not string.find(vendors or '', ' ' .. member .. ' ', 1, true)
      or quota ~= '' and known_quota ~= quota or cap > 0 and not capped) then stale[#stale + 1] = i end
  if known_version ~= version and known_version and tonumber(version) < tonumber(known_version) then outdated[#outdated + 1] = i end
  -- Whether the state names another version, or holds what the definition does not ask for any more.
  any_changed = any_changed or known_version ~= version or not gap and known_depth > 0 or known_quota and quota == '' or capped and cap == 0
  buckets[i] = {
    index = i, log = log, hash = hash, in_flight = KEYS[4 * i - 1], freed = KEYS[4 * i], key = key, is_shared = is_shared, cap = cap,
    windows = windows, gap = gap, quota = calls, ranges = ranges, version = version, known_version = known_version,
    known_quota = known_quota, capped = capped, known_depth = known_depth, known_length = known_length, newest = newest,
    paced_from = paced_from, owed = owed, last_gap = last_gap, log_life_ms = log_life_ms, units = 0, paced = 0, slots = 0,
  }
end

-- With `units` more starts now, the one that many before the last of them must have left the window.
local function fits(bucket, window, units)
  local start = redis.call('LINDEX', bucket.log, window.calls - units)
  return not start or tonumber(start) + window.length < now
end

-- Returns how many units the window has room for, at most `most`. `spare` remembers it for wait_for.
local function room_in(bucket, window, most)
  local low, high = 0, math.min(most, window.calls)
  if high == most then
    if fits(bucket, window, most) then low = most else high = most - 1 end
  end
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if fits(bucket, window, middle) then low = middle else high = middle - 1 end
  end
  window.spare = low
  return low
end

local read_left, left_of, wait_for_quota, count -- for buckets with a quota
if any_quota then
  function read_left(bucket)
    for _, range in ipairs(bucket.ranges) do range.left = bucket.quota - tonumber(redis.call('HGET', bucket.hash, range.field) or 0) end
  end
  for _, bucket in ipairs(buckets) do
    if bucket.ranges then read_left(bucket) end
  end

  -- Whether a charge of now might count in this range: its time may be later than now by the slack.
  local function is_near(range) return range.from <= now + CLOCK_SLACK + MAX_UNITS and range.to > now end

  -- Returns how many units the quota has left; none if no range contains this time.
  function left_of(bucket)
    local left, contains = math.huge, false
    for _, range in ipairs(bucket.ranges) do
      if is_near(range) then
        left = math.min(left, range.left)
        contains = contains or range.from <= now
      end
    end
    return contains and left or 0
  end

  function wait_for_quota(bucket, units)
    if left_of(bucket) >= units then return 0 end
    local wait = 100000 -- if no range contains this time
    for _, range in ipairs(bucket.ranges) do
      if is_near(range) and range.left < units then wait = math.max(wait, range.to - now) end
    end
    return wait
  end

  -- Each unit has its own microsecond, so that a refund finds the range in which it counts.
  function count(bucket, first, units)
    for _, range in ipairs(bucket.ranges) do
      local counted = math.min(range.to, first + units) - math.max(range.from, first)
      if counted > 0 then
        if range.left == bucket.quota then -- it has just begun
          for _, field in ipairs(redis.call('HKEYS', bucket.hash)) do
            local to = string.match(field, '^spent:%d+:(%d+)$')
            if to and tonumber(to) <= now then redis.call('HDEL', bucket.hash, field) end
          end
        end
        range.left = bucket.quota - redis.call('HINCRBY', bucket.hash, range.field, text(counted))
      end
    end
  end
end

-- Returns the microseconds until the windows and the quota of a bucket permit so many units, and whether the quota takes longest.
local function wait_for(bucket, units)
  local wait, windows = 0, bucket.windows
  for i = 1, #windows do
    local window = windows[i]
    if window.spare < units then
      if units > window.calls then return FOREVER end
      local start = redis.call('LINDEX', bucket.log, window.calls - units)
      if start then wait = math.max(wait, start + window.length + 1 - now) end
    end
  end
  if not bucket.ranges then return wait end
  local for_quota = wait_for_quota(bucket, units)
  return math.max(wait, for_quota), for_quota > wait
end

-- Units kept beyond the depth: after limits were lowered, older ones count again when newer ones are refunded.
local SPARE = 1000

-- Charges units to all of these buckets, and returns the time of the first, or 0 if none of them counts. The others follow a microsecond
-- apart, so that each is unique. `owed`: units of the last call, which gets its place in the pace; nil if it keeps an earlier place.
local function charge(to, units, owed)
  local first, starts = 0, {}
  for i = 1, #to do
    local bucket = to[i]
    if bucket.gap or bucket.ranges then first = math.max(first, now, bucket.newest + 1) end
  end
  if first == 0 or units == 0 then return 0 end
  for i = 1, units do starts[i] = text(first + i - 1) end
  for i = 1, #to do
    local bucket = to[i]
    if bucket.gap or bucket.ranges then
      local hash, depth, windows = bucket.hash, bucket.known_depth, bucket.windows
      bucket.newest = first + units - 1
      local known = redis.call('LPUSH', bucket.log, unpack(starts))
      if known > depth + SPARE then redis.call('LTRIM', bucket.log, 0, depth + SPARE - 1) end
      -- Twice as long as needed, so that it is not set each time. What a quota counts can be refunded for a minute.
      local life_ms = bucket.known_length / 1000 + (bucket.ranges and 60000 or 1000)
      if (bucket.log_life_ms or 0) < life_ms or known == units then redis.call('PEXPIRE', bucket.log, text(2 * life_ms)) end
      if bucket.gap and owed then
        bucket.paced_from = bucket.paced_from + units * bucket.gap
        redis.call('HSET', hash, 'newest', starts[units], 'pace', text(bucket.paced_from))
        if bucket.last_gap ~= bucket.gap or bucket.owed ~= owed then
          bucket.last_gap, bucket.owed = bucket.gap, owed
          redis.call('HSET', hash, 'gap', text(bucket.gap), 'owed', owed)
        end
      else
        redis.call('HSET', hash, 'newest', starts[units])
      end
      for w = 1, #windows do windows[w].spare = windows[w].spare - units end
      if bucket.ranges then count(bucket, first, units) end
    end
  end
  return first
end
