-- The buckets that count a vendor's calls, in units: windows as sliding-window logs, pace, and quotas by the calendar. Runs before
-- take, held, renew, rebuild and stale.
-- KEYS log, state, in_flight and freed of each bucket, the vendor's own first; then those of the script
-- ARGV number of buckets; for each: the key of the credential whose calls it counts ('': all), version of its definition, member
--      ("slug:membership" of the vendor; '' for the vendor's own bucket), cap on jobs in flight (0: none), number of windows, calls and
--      length in microseconds of each, shortest first, and its quota as a text ('': none), followed by its calls, the number of
--      ranges, and begin and end of each in microseconds; then the script's own arguments, which `argument` returns one by one
-- A bucket's state: run_id of the Redis that its log and counters belong to; depth, length: starts and microseconds that the log covers;
-- newest start; pace: when the next start is due, gap: between two units, owed: units of the last start; version: the highest that a
-- take has named; quota: its text; spent:BEGIN:END: units of that range; estimated: when it was rebuilt, if calls were in progress;
-- rebuilt: older charges are not refunded; vendors: the members that it was rebuilt for, each between spaces; capped: 1 if in_flight is
-- kept; full: 1 if somebody waits for a slot. The vendor's own has its breaker, too.
-- The costs are commands, conversions between numbers and strings, and closures: keep all of them few.
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

local position = 1
local function argument()
  position = position + 1
  return ARGV[position]
end

local function read_hash(key)
  local flat, hash = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do hash[flat[i]] = flat[i + 1] end
  return hash
end

-- Reads what the definition says of a bucket.
local function read_definition(bucket)
  bucket.key, bucket.version, bucket.member, bucket.cap = argument(), argument(), argument(), tonumber(argument())
  bucket.windows, bucket.depth = {}, 0
  for i = 1, tonumber(argument()) do
    bucket.windows[i] = { calls = tonumber(argument()), length = tonumber(argument()) }
    bucket.depth = math.max(bucket.depth, bucket.windows[i].calls)
  end
  bucket.is_paced = bucket.windows[1] ~= nil
  bucket.length = bucket.is_paced and bucket.windows[#bucket.windows].length or 0
  -- Starts in the shortest window are paced: evenly apart.
  bucket.gap = bucket.is_paced and math.ceil(bucket.windows[1].length / bucket.windows[1].calls) or 0
  bucket.quota = argument()
  if bucket.quota == '' then return end
  bucket.calls, bucket.ranges = tonumber(argument()), {}
  for i = 1, tonumber(argument()) do
    local from, to = argument(), argument()
    bucket.ranges[i] = { from = tonumber(from), to = tonumber(to), field = 'spent:' .. from .. ':' .. to }
  end
end

-- Whether a bucket can't be trusted: Redis lost data or restarted, its clock went back, or the definition needs what is not known.
local function is_stale(bucket)
  local state = bucket.state
  if state.run_id ~= run_id or math.max(bucket.newest, bucket.started) > now + CLOCK_SLACK then return true end
  if bucket.is_paced then
    -- The state holds the newest start too, so that a log that was deleted alone is noticed.
    bucket.log_life_ms = redis.call('PTTL', bucket.log)
    if bucket.log_life_ms == -2 and bucket.newest + bucket.known_length >= now then return true end
    if bucket.known_depth < bucket.depth or bucket.known_length < bucket.length then return true end
  end
  if bucket.member == '' then return false end
  return not string.find(state.vendors or '', ' ' .. bucket.member .. ' ', 1, true)
    or bucket.quota ~= '' and state.quota ~= bucket.quota
    or bucket.cap > 0 and not state.capped
end

local buckets, stale, outdated = {}, {}, {} -- the last two: indexes of buckets
for i = 1, tonumber(ARGV[1]) do
  local bucket = { log = KEYS[4 * i - 3], hash = KEYS[4 * i - 2], in_flight = KEYS[4 * i - 1], freed = KEYS[4 * i], index = i }
  buckets[i] = bucket
  read_definition(bucket)
  local state = read_hash(bucket.hash)
  bucket.state = state
  bucket.known_depth, bucket.known_length = tonumber(state.depth or 0), tonumber(state.length or 0)
  bucket.newest = tonumber(state.newest or 0)
  local owed = tonumber(state.owed or 1)
  bucket.started = tonumber(state.pace or 0) - owed * tonumber(state.gap or 0) -- the last start, if all had kept to the pace
  -- One gap of catch-up, or 20 ms (a worker's round) if that is longer. The gap may have changed since the last start.
  bucket.paced_from = math.max(bucket.started + owed * bucket.gap, now - math.max(bucket.gap, 20000))
  bucket.log_life_ms = 0
  if is_stale(bucket) then stale[#stale + 1] = i end
  if state.version ~= bucket.version and tonumber(bucket.version) < tonumber(state.version or 0) then outdated[#outdated + 1] = i end
end

-- Whether `units` more may start now: the one that many before the last of them must have left the window.
local function fits(bucket, window, units)
  local start = redis.call('LINDEX', bucket.log, window.calls - units)
  return not start or tonumber(start) + window.length < now
end

-- Returns how many units the window has room for, at most `most`. `spare` remembers it for wait_for.
local function room_in(bucket, window, most)
  local low, high = 0, math.min(most, window.calls)
  if high == most and fits(bucket, window, most) then
    low = most
  else
    if high == most then high = most - 1 end
    while low < high do
      local middle = math.ceil((low + high) / 2)
      if fits(bucket, window, middle) then low = middle else high = middle - 1 end
    end
  end
  window.spare = low
  return low
end

-- Whether a charge of now might count in the range of a quota: its time may be later than now by the slack.
local function is_near(range) return range.from <= now + CLOCK_SLACK + MAX_UNITS and range.to > now end

local function left_in(bucket, range) return bucket.calls - tonumber(bucket.state[range.field] or 0) end

-- Returns how many units the quota has left; none if no range contains this time.
local function left_of_quota(bucket)
  local left, contains = FOREVER, false
  for _, range in ipairs(bucket.ranges) do
    if is_near(range) then
      left = math.min(left, left_in(bucket, range))
      contains = contains or range.from <= now
    end
  end
  return contains and left or 0
end

-- Returns the microseconds until the windows and the quota of a bucket permit so many units, and whether the quota takes longest.
local function wait_for(bucket, units)
  local wait, is_quota = 0, false
  for _, window in ipairs(bucket.windows) do
    if units > window.calls then return FOREVER, false end
    local start = (window.spare or 0) < units and redis.call('LINDEX', bucket.log, window.calls - units)
    if start then wait = math.max(wait, tonumber(start) + window.length + 1 - now) end
  end
  for _, range in ipairs(bucket.ranges or {}) do
    if is_near(range) and left_in(bucket, range) < units and range.to - now > wait then
      wait, is_quota = range.to - now, true
    end
  end
  if bucket.ranges and wait == 0 and left_of_quota(bucket) < units then return 100000, true end
  return wait, is_quota
end

-- Counts units in the quota; each has its own microsecond, so that a refund finds the range in which it counts.
local function count(bucket, first, units)
  for _, range in ipairs(bucket.ranges) do
    local counted = math.min(range.to, first + units) - math.max(range.from, first)
    if counted > 0 then
      if not bucket.state[range.field] then
        for field in pairs(bucket.state) do
          local to = string.match(field, '^spent:%d+:(%d+)$')
          if to and tonumber(to) <= now then redis.call('HDEL', bucket.hash, field) end
        end
      end
      bucket.state[range.field] = redis.call('HINCRBY', bucket.hash, range.field, text(counted))
    end
  end
end

-- Units kept beyond the depth: after limits were lowered, older ones count again when newer ones are refunded.
local SPARE = 1000

local function add_to_log(bucket, starts, first, ...)
  local known = redis.call('LPUSH', bucket.log, unpack(starts))
  bucket.newest = first + #starts - 1
  if known > bucket.known_depth + SPARE then redis.call('LTRIM', bucket.log, 0, text(bucket.known_depth + SPARE - 1)) end
  -- Twice as long as needed, so that it is not set each time. What a quota counts can be refunded for a minute.
  local life_ms = math.max(bucket.known_length / 1000 + 1000, bucket.ranges and 60000 or 0)
  if bucket.log_life_ms < life_ms or known == #starts then redis.call('PEXPIRE', bucket.log, text(2 * life_ms)) end
  redis.call('HSET', bucket.hash, 'newest', starts[#starts], ...)
end

-- Charges units to all of these buckets, and returns the time of the first, or 0 if none of them counts. The others follow a microsecond
-- apart, so that each is unique. `owed`: units of the last call, which has its place in the pace; nil if it keeps an earlier place.
local function charge(to, units, owed)
  local first, counts = now, false
  for _, bucket in ipairs(to) do
    if bucket.is_paced or bucket.ranges then
      counts = true
      first = math.max(first, bucket.newest + 1)
    end
  end
  if not counts or units == 0 then return 0 end
  local starts = {}
  for i = 1, units do starts[i] = text(first + i - 1) end
  for _, bucket in ipairs(to) do
    if bucket.is_paced and owed then
      bucket.paced_from = bucket.paced_from + units * bucket.gap
      add_to_log(bucket, starts, first, 'pace', text(bucket.paced_from), 'gap', text(bucket.gap), 'owed', owed)
    elseif bucket.is_paced or bucket.ranges then
      add_to_log(bucket, starts, first)
    end
    for _, window in ipairs(bucket.windows) do window.spare = (window.spare or 0) - units end
    if bucket.ranges then count(bucket, first, units) end
  end
  return first
end
