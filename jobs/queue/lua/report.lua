-- Reports calls to a vendor's breaker, and returns the vendor's standing.
-- KEYS state, freed
-- ARGV failures in a row that open it, code of the last failed call, terms of throttling, then seven per call: signal, token
--   of its probe ('' if it is none), job id, when it started (microseconds), failures of its job counted before, number of good
--   calls in a row that it stands for, key of the vendor's credential that it was made with ('' without one)
--   terms: '' if no call was throttled; else the shortest pause, how long the breaker holds the vendor at most (microseconds),
--   and since when the vendor's row says that it is throttled (0: it does not)
--   signal: good (the vendor answered), bad (it seems to be down), denied (it refuses our credentials), throttled (we call it
--   too fast, and it does not say for how long to stop), none (no call was made, or the answer says nothing about its health)
-- Returns microseconds until the next probe (0: closed), the streak of throttled answers, and for each call a number: 1 if it
-- started before the last outage ended, else 0; and 2 for each of the different jobs in a row that were denied with its key (at most 3).
--   streak: '' if there is none; else since when, now, and 1 if the vendor must be paused for a call that is reported here
local STATE, FREED = unpack(KEYS)
local threshold, code = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local MIN_OPEN, MAX_OPEN, RECOVERED = 1000000, 60000000, 64
local MAX_DENIED = 3 -- as DENIED_JOBS in jobs/queue/health/breaker.py

local state = {}
do
  local flat = redis.call('HGETALL', STATE)
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
end
local function number(field) return tonumber(state[field] or 0) end
local function set(field, value)
  state[field] = string.format('%.0f', value)
  redis.call('HSET', STATE, field, state[field])
end
local function clear(...)
  for _, field in ipairs({ ... }) do
    if state[field] then redis.call('HDEL', STATE, field) end
    state[field] = nil
  end
end
local function wake() redis.call('XADD', FREED, 'MAXLEN', 1, '*', 'slot', '1') end

local function hold(length, why)
  set('open_until', now + length)
  -- For people: since when it is open, and the last error.
  if not state.opened_at then set('opened_at', now) end
  redis.call('HSET', STATE, 'open_code', why)
  clear('failures', 'recovering', 'probe', 'probe_until', 'probe_entry')
end

local function open()
  if state.throttled_at then clear('throttled_at', 'opened_at') end
  local length = math.min(MAX_OPEN, MIN_OPEN * 2 ^ number('opened'))
  set('opened', number('opened') + 1)
  hold(length, code)
end

-- The reporter writes the pause into the vendor's row (jobs/queue/health/throttle.py says how long it is). The breaker holds the calls
-- until all workers have read it, and lets one probe through after it. A row whose streak Redis has lost goes on with it.
local must_pause = 0
local function throttled()
  local min_pause, max_hold, row_since = string.match(ARGV[3], '(%d+) (%d+) (%d+)')
  if not state.throttled_at then
    clear('opened_at')
    set('throttled_at', (row_since ~= '0' and not state.answered) and tonumber(row_since) or now)
  end
  hold(math.min(tonumber(max_hold), math.max(tonumber(min_pause), now - number('throttled_at'))), 'rate_limited')
  must_pause = 1
end

local function good(calls)
  clear('failures')
  if not state.recovering then return end
  if number('recovering') + calls < RECOVERED then return set('recovering', number('recovering') + calls) end
  clear('recovering', 'opened')
end

-- A breaker without a good answer so far may have lost its state during an outage. The job still has its own count.
local function bad(before)
  set('failures', number('failures') + 1)
  if not state.answered and before + 1 > number('failures') then set('failures', before + 1) end
  if number('failures') >= threshold then open() end
end

-- While it is open, only the holder of the probe's token counts: late reports from before the outage say nothing.
local function probed(signal)
  clear('probe', 'probe_until', 'probe_entry')
  if signal == 'good' or signal == 'denied' then
    clear('open_until', 'opened_at', 'open_code', 'failures', 'throttled_at')
    set('recovering', 1)
    set('closed_at', now)
  elseif signal == 'bad' then
    open()
  elseif signal == 'throttled' then
    throttled()
  end
  wake()
end

local function denied_count(streak) return select(2, string.gsub(state[streak] or '', '%S+', '')) end

-- `streak`: the field with the jobs of a key's streak, by their ids, each followed by a space.
local function denied(job, streak)
  local jobs = state[streak] or ''
  if denied_count(streak) >= MAX_DENIED or string.find(' ' .. jobs, ' ' .. job .. ' ', 1, true) then return end
  state[streak] = jobs .. job .. ' '
  redis.call('HSET', STATE, streak, state[streak])
end

local starts, streaks = {}, {}
for i = 4, #ARGV, 7 do
  local signal, token, job, started, failures, calls, key = unpack(ARGV, i, i + 6)
  if (signal == 'good' or signal == 'denied') and not state.answered then set('answered', 1) end
  if state.open_until then
    if token ~= '' and token == state.probe then probed(signal) end
  elseif signal == 'good' or signal == 'denied' then
    good(tonumber(calls))
  elseif signal == 'bad' and tonumber(started) >= number('closed_at') then
    bad(tonumber(failures))
  elseif signal == 'throttled' and tonumber(started) >= number('closed_at') then
    throttled()
  end
  local streak = key == '' and 'denied_jobs' or 'denied_jobs:' .. key
  if signal == 'denied' then denied(job, streak) elseif signal == 'good' and state[streak] then clear(streak) end
  starts[#starts + 1], streaks[#starts + 1] = tonumber(started), streak
end
local is_down = state.open_until and not state.throttled_at
local open_for = is_down and math.max(1, number('open_until') - now) or 0
local streak = state.throttled_at and string.format('%s %.0f %d', state.throttled_at, now, must_pause) or ''
local closed_at, reply = number('closed_at'), { string.format('%.0f', open_for), streak }
for i, started in ipairs(starts) do
  local denied_jobs = state[streaks[i]] and denied_count(streaks[i]) or 0
  reply[i + 2] = (started < closed_at and 1 or 0) + 2 * denied_jobs
end
return reply
