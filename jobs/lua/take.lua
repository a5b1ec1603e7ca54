-- Takes the entries that may start now, and charges for exactly those. After limits.lua.
-- own arguments: consumer, want, cap on jobs in flight (0: none), token for a probe, life of a probe in microseconds
-- Returns 'stale', or 'ok', now, wait, listen, first charge, whether it is a probe, ends of again, jobs and freed, then three an
-- entry: stream, entry id, job id. Listen says what wakes the caller before `wait` microseconds
-- are over: 'news' (an entry), 'slot' (a freed slot) or ''.
local consumer, want, cap = ARGV[own], tonumber(ARGV[own + 1]), tonumber(ARGV[own + 2])
local probe, probe_life = ARGV[own + 3], tonumber(ARGV[own + 4])
local FOREVER = 3600 * 1000000

if is_stale() then return { 'stale' } end
-- A stream that was dropped alone has lost its group with it.
for _, stream in ipairs({ AGAIN, JOBS }) do
  if redis.pcall('XPENDING', stream, 'workers').err then return { 'stale' } end
end

local function last_id(stream)
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  return last[1] and last[1][1] or '0-0'
end

local function answer(wait, listen, entries, first, probing)
  local reply = { 'ok', text(now), text(wait), listen, first and text(first) or '', probing and 1 or 0,
    last_id(AGAIN), last_id(JOBS), last_id(FREED) }
  for _, entry in ipairs(entries or {}) do
    for _, part in ipairs(entry) do reply[#reply + 1] = part end
  end
  return reply
end

local function full()
  redis.call('HSET', GATE, 'full', 1)
  return answer(FOREVER, 'slot')
end

local function read(stream, name, count, entries)
  if count == 0 then return end
  local reply = redis.call('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return end
  for _, entry in ipairs(reply[1][2]) do
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    if fields.job then redis.call('ZADD', FLIGHT, text(now / 1000), fields.job) end
    entries[#entries + 1] = { name, entry[1], fields.job or '' } -- what nobody can read is refused, and its job found lost
  end
end

local held = redis.call('PTTL', HOLD)
if held > 0 then return answer(held * 1000, '') end

-- An open breaker lets one probe through at a time, once its pause is over.
local room, probing = want, false
if gate.open_until then
  local probe_until, open_until = tonumber(gate.probe_until or 0), tonumber(gate.open_until)
  if probe_until > now then return answer(probe_until - now, 'slot') end
  if open_until > now then return answer(open_until - now, '') end
  room, probing = 1, true
end

if cap > 0 then
  room = math.min(room, cap - redis.call('ZCARD', FLIGHT))
  if room <= 0 then return full() end
end

-- An entry is pending as long as its call is under way. What was begun before the outage was over may hang on for long, and
-- is no part of what grows back.
local function begun_since(stream)
  local calls = redis.call('XPENDING', stream, 'workers')[1]
  local idle = math.floor(now / 1000) - math.floor(tonumber(gate.closed_at or 0) / 1000) + 1
  return calls == 0 and 0 or calls - #redis.call('XPENDING', stream, 'workers', 'IDLE', text(idle), '-', '+', calls)
end

-- After an outage the number of calls under way grows back from one.
if gate.recovering then
  room = math.min(room, tonumber(gate.recovering) - begun_since(AGAIN) - begun_since(JOBS))
  if room <= 0 then return full() end
end

room = permitted(room)
if room == 0 then return answer(wait_for_one(), '') end

local entries = {}
read(AGAIN, 'again', room, entries)
read(JOBS, 'jobs', room - #entries, entries)

if #entries == 0 then return answer(FOREVER, 'news') end
-- Whoever holds an entry is known, even before its first beat: else nobody would find it dead.
redis.call('ZADD', BEATS, 'NX', text(now / 1000), consumer)
local first = #windows > 0 and charge(#entries) or nil
if first then pace(#entries) end
if probing then
  redis.call('HSET', GATE, 'probe', probe, 'probe_until', text(now + probe_life), 'probe_entry', entries[1][1] .. entries[1][2])
  return answer(probe_life, 'slot', entries, first, true)
end
if #entries < room then return answer(FOREVER, 'news', entries, first) end
return answer(wait_for_one(), '', entries, first)
