-- Takes the entries that may start now, and charges for exactly those. After limits.lua.
-- own arguments: consumer, want, cap on jobs in flight (0: none), token for a probe, life of a probe in microseconds
-- Returns 'stale', or 'ok', now, wait, first charge ('' where nothing is charged), whether it is a probe; then three lists: the
-- streams that wake the caller before `wait` microseconds are over, each with its end; what was read from again, and from jobs,
-- each as entry id and job id.
local MOST = 1000 -- Lua hands a command a few thousand arguments at the most
local consumer, want, cap = ARGV[own], math.min(MOST, tonumber(ARGV[own + 1])), tonumber(ARGV[own + 2])
local probe, probe_life = ARGV[own + 3], tonumber(ARGV[own + 4])
local FOREVER = 3600 * 1000000

if is_stale() then return { 'stale' } end

local function ends(...)
  local list = {}
  for _, stream in ipairs({ ... }) do
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    list[#list + 1] = stream
    list[#list + 1] = last[1] and last[1][1] or '0-0'
  end
  return list
end

local function nothing(wait, ...) return { 'ok', text(now), text(wait), '', 0, ends(...), {}, {} } end

local function full()
  redis.call('HSET', GATE, 'full', 1)
  return nothing(FOREVER, FREED)
end

-- Returns up to `count` entries, each as entry id and job id: '' where nobody can read it. That is refused, its job found lost.
local a_group_is_gone = false
local function read(stream, count)
  local reply = count > 0 and redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return {} end
  if reply.err then
    a_group_is_gone = true -- with its stream, which was dropped alone
    return {}
  end
  local list = {}
  for _, entry in ipairs(reply[1][2]) do
    local fields, job = entry[2], ''
    for i = 1, #fields, 2 do
      if fields[i] == 'job' then job = fields[i + 1] end
    end
    list[#list + 1] = entry[1]
    list[#list + 1] = job
  end
  return list
end

local function add_to_flight(list, at)
  local scores = {}
  for i = 2, #list, 2 do
    if list[i] ~= '' then
      scores[#scores + 1] = at
      scores[#scores + 1] = list[i]
    end
  end
  if #scores > 0 then redis.call('ZADD', FLIGHT, unpack(scores)) end
end

local held = redis.call('PTTL', HOLD)
if held > 0 then return nothing(held * 1000) end

-- An open breaker lets one probe through at a time, once its pause is over.
local room, probing = want, false
if gate.open_until then
  local probe_until, open_until = tonumber(gate.probe_until or 0), tonumber(gate.open_until)
  if probe_until > now then return nothing(probe_until - now, FREED) end
  if open_until > now then return nothing(open_until - now) end
  room, probing = 1, true
end

if cap > 0 then
  room = math.min(room, cap - redis.call('ZCARD', FLIGHT))
  if room <= 0 then return full() end
end

-- An entry is pending as long as its call is under way. What was begun before the outage was over may hang on for long, and
-- is no part of what grows back.
local function begun_since(stream)
  local calls = redis.pcall('XPENDING', stream, 'workers')[1] or 0 -- nothing where the group is gone
  local idle = math.floor(now / 1000) - math.floor(tonumber(gate.closed_at or 0) / 1000) + 1
  return calls == 0 and 0 or calls - #redis.call('XPENDING', stream, 'workers', 'IDLE', text(idle), '-', '+', calls)
end

-- After an outage the number of calls under way grows back from one.
if gate.recovering then
  room = math.min(room, tonumber(gate.recovering) - begun_since(AGAIN) - begun_since(JOBS))
  if room <= 0 then return full() end
end

room = permitted(room)
if room == 0 then return nothing(wait_for_one()) end

local again = read(AGAIN, room)
local jobs = read(JOBS, room - #again / 2)
local count = (#again + #jobs) / 2
if count == 0 then
  if a_group_is_gone then return { 'stale' } end
  return nothing(FOREVER, AGAIN, JOBS)
end

local now_ms = text(now / 1000)
add_to_flight(again, now_ms)
add_to_flight(jobs, now_ms)
-- Whoever holds an entry is known, even before its first beat: else nobody would find it dead.
redis.call('ZADD', BEATS, 'NX', now_ms, consumer)
local first = #windows > 0 and text(charge(count, places(count))) or ''

local function some(wait, ...) return { 'ok', text(now), text(wait), first, probing and 1 or 0, ends(...), again, jobs } end
if probing then
  local entry = again[1] and 'again' .. again[1] or 'jobs' .. jobs[1]
  redis.call('HSET', GATE, 'probe', probe, 'probe_until', text(now + probe_life), 'probe_entry', entry)
  return some(probe_life, FREED)
end
if count < room then return some(FOREVER, AGAIN, JOBS) end
return some(wait_for_one())
