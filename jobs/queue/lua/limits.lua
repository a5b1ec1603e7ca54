-- The limits of one vendor: its windows as a sliding-window log, its pace, its pause. Runs before take, renew, rebuild and stale.
-- KEYS retries, jobs, freed, log, in_flight, state, pause, heartbeats
-- ARGV number of windows, then calls and length in microseconds of each, shortest first; then the script's own arguments
-- The costs are commands, conversions between numbers and strings, and closures: keep all of them few.
local RETRIES, JOBS, FREED, LOG, IN_FLIGHT, STATE, PAUSE, HEARTBEATS = unpack(KEYS)

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local windows, depth = {}, 0
for i = 1, tonumber(ARGV[1]) do
  windows[i] = { calls = tonumber(ARGV[2 * i]), length = tonumber(ARGV[2 * i + 1]) }
  depth = math.max(depth, windows[i].calls)
end
local length = #windows > 0 and windows[#windows].length or 0
local own = 2 + 2 * #windows -- where the script's own arguments begin

local state = {}
do
  local flat = redis.call('HGETALL', STATE)
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
end
-- The number of starts and the length that the log covers; its newest start; when the pace has the next start due, and its gap.
local known_depth, known_length = tonumber(state.depth or 0), tonumber(state.length or 0)
local newest, due, due_gap = tonumber(state.newest or 0), tonumber(state.pace or 0), tonumber(state.gap or 0)

local run_id
do
  local info = redis.call('INFO', 'server')
  local _, before = string.find(info, 'run_id:', 1, true) -- plain: a pattern would take as long as INFO itself
  run_id = string.sub(info, before + 1, before + 40)
end
local clock_went_back = math.max(newest, due - due_gap) > now + 1000000

-- The state holds the newest start too, so that a log that was deleted alone is noticed.
local log_life_ms = redis.call('PTTL', LOG)
local log_is_gone = log_life_ms == -2 and newest + known_length >= now

-- Whether the log can't be trusted: Redis lost data or restarted, its clock went back, or the limits need a longer log.
local is_stale = state.run_id ~= run_id or clock_went_back or log_is_gone or known_depth < depth or known_length < length

local function text(number) return string.format('%d', number) end

-- Starts in the shortest window are paced: evenly apart, with one gap of catch-up, or 20 ms (a worker's round) for shorter gaps.
local gap = #windows > 0 and math.ceil(windows[1].length / windows[1].calls) or 0
local paced_from = math.max(due - due_gap + gap, now - math.max(gap, 20000)) -- the limits may have changed since

-- With `count` more starts now, the one `calls` before the last of them must have left the window.
local function fits(window, count)
  local start = redis.call('LINDEX', LOG, window.calls - count)
  return not start or tonumber(start) + window.length < now
end

-- Returns how many calls the window has room for, at most `most`. With room for one more, wait_for_windows can skip it.
local function room_in(window, most)
  window.has_more = most < window.calls and fits(window, most + 1)
  if window.has_more then return most end
  local low, high = 0, math.min(most, window.calls)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if fits(window, middle) then low = middle else high = middle - 1 end
  end
  return low
end

-- Returns the microseconds until the windows permit one call.
local function wait_for_windows()
  local at = now
  for _, window in ipairs(windows) do
    local start = not window.has_more and redis.call('LINDEX', LOG, window.calls - 1)
    if start then at = math.max(at, tonumber(start) + window.length + 1) end
  end
  return at - now
end

-- Starts kept beyond the depth: after limits were lowered, older starts count again when newer ones are refunded.
local SPARE = 1000

-- Charges `count` starts and returns the time of the first. The others follow a microsecond apart, so that each is unique.
-- Further arguments are fields and values to set in the state.
local function charge(count, ...)
  local first, starts = math.max(now, newest + 1), {}
  for i = 1, count do starts[i] = text(first + i - 1) end
  local known = redis.call('LPUSH', LOG, unpack(starts))
  newest = first + count - 1
  if known > known_depth + SPARE then redis.call('LTRIM', LOG, 0, known_depth + SPARE - 1) end
  -- Twice as long as needed, so that it is not set each time.
  local life_ms = known_length / 1000 + 1000
  if log_life_ms < life_ms or known == count then redis.call('PEXPIRE', LOG, text(2 * life_ms)) end
  redis.call('HSET', STATE, 'newest', starts[count], ...)
  return first
end
