-- Takes the entries that may start now, and charges for exactly those. Runs after limits.lua.
-- KEYS, in addition: polls, if the vendor is polled
-- own arguments: consumer, want, cap on jobs in flight (0: none), token for a probe, life of a probe in microseconds
-- Returns nothing if the log can't be trusted. Else: now, wait, first charge (0 without windows), whether the entry is a probe,
-- and lists: the streams whose next entry ends the wait of `wait` microseconds, each with its last id; the entries read from
-- retries and from jobs, each as entry id and job id; and, if the vendor is polled, those read from polls, with their due time
-- as a third.
local POLLS = KEYS[9]
local MAX = 1000 -- Lua passes at most a few thousand arguments to a command
local consumer, want, cap = ARGV[own], math.min(MAX, tonumber(ARGV[own + 1])), tonumber(ARGV[own + 2])
local FOREVER = 3600 * 1000000

if is_stale then return {} end

local retries, jobs, polls, first, is_probe = {}, {}, POLLS and {}, 0, 0
local function answer(wait, ...)
  local ends = {}
  for _, stream in ipairs({ ... }) do
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    ends[#ends + 1] = stream
    ends[#ends + 1] = last[1] and last[1][1] or '0-0'
  end
  return { now, wait, first, is_probe, ends, retries, jobs, polls }
end

local pause_ms = redis.call('PTTL', PAUSE)
if pause_ms > 0 then return answer(pause_ms * 1000) end

-- An open breaker lets one probe through at a time, from open_until on.
local room, probing = want, false
if state.open_until then
  local probe_until, open_until = tonumber(state.probe_until or 0), tonumber(state.open_until)
  if probe_until > now then return answer(probe_until - now, FREED) end
  if open_until > now then return answer(open_until - now) end
  room, probing = 1, true
end

-- The cap holds calls back, but not polls: their jobs are in flight already.
local slots = cap > 0 and cap - redis.call('ZCARD', IN_FLIGHT) or MAX
if not POLLS then room = math.min(room, slots) end

-- After an outage the number of concurrent calls grows again from one. An entry is pending while its call is in progress. Calls
-- that started before the outage ended may hang for long, and do not count.
if state.recovering then
  local allowed = tonumber(state.recovering)
  local idle_ms = math.floor(now / 1000) - math.floor(tonumber(state.closed_at or 0) / 1000) + 1
  for _, stream in ipairs({ RETRIES, JOBS, POLLS }) do
    local calls = redis.pcall('XPENDING', stream, 'workers')[1] or 0 -- none if the group is gone
    local older = calls > 0 and #redis.call('XPENDING', stream, 'workers', 'IDLE', text(idle_ms), '-', '+', calls) or 0
    allowed = allowed - (calls - older)
  end
  room = math.min(room, allowed)
end

if room <= 0 then
  redis.call('HSET', STATE, 'full', 1)
  return answer(FOREVER, FREED)
end

local function wait_for_one()
  if #windows == 0 then return 0 end
  return math.max(paced_from - now, wait_for_windows())
end

if #windows > 0 then
  if paced_from > now then return answer(wait_for_one()) end
  room = math.min(room, math.floor((now - paced_from) / gap) + 1)
  for _, window in ipairs(windows) do room = room_in(window, room) end
  if room == 0 then return answer(wait_for_one()) end
end

-- Reads up to `count` entries into `list`, each as entry id and job id ('' if unreadable: it is refused, and its job found lost).
local now_ms, a_group_is_gone = text(now / 1000), false
local function read(stream, list, count)
  local reply = count > 0 and redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return end
  if reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then error(reply) end
    a_group_is_gone = true -- the stream was deleted alone, and the group with it
    return
  end
  local scores = {}
  for _, entry in ipairs(reply[1][2]) do
    local fields, job = entry[2], ''
    for i = 1, #fields, 2 do
      if fields[i] == 'job' then job = fields[i + 1] end
    end
    list[#list + 1], list[#list + 2] = entry[1], job
    if job ~= '' then scores[#scores + 1], scores[#scores + 2] = now_ms, job end
  end
  if #scores > 0 then redis.call('ZADD', IN_FLIGHT, unpack(scores)) end
end

if not POLLS then
  read(RETRIES, retries, room)
  read(JOBS, jobs, room - #retries / 2)
else
  local function read_polls(count)
    local command = { 'XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', POLLS, '>' }
    local reply = count > 0 and redis.pcall(unpack(command))
    if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
      -- No rebuild is needed: with the stream, only hints are lost. The sweep adds an entry again when its lease ends.
      redis.call('XGROUP', 'CREATE', POLLS, 'workers', '0', 'MKSTREAM')
      reply = redis.pcall(unpack(command))
    end
    if not reply then return end
    if reply.err then error(reply) end
    for _, entry in ipairs(reply[1][2]) do
      local fields = {}
      for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
      for _, part in ipairs({ entry[1], fields.job or '', fields.due or '' }) do polls[#polls + 1] = part end
    end
  end

  -- While calls wait that could start, polls get half of the permits. An odd one, such as a single one, goes to both kinds by
  -- turns: to a poll if `poll_turn` in the state is 1. What one kind leaves, the other takes.
  slots = math.max(0, slots)
  local share = math.floor((room + tonumber(state.poll_turn or 0)) / 2)
  local of_calls = math.min(slots, room - share)
  read(RETRIES, retries, of_calls)
  read(JOBS, jobs, of_calls - #retries / 2)
  local calls = (#retries + #jobs) / 2
  read_polls(room - calls)
  if calls == of_calls then -- there may be more
    local left = math.min(slots, room - #polls / 3) - calls
    read(RETRIES, retries, left)
    read(JOBS, jobs, left + calls - (#retries + #jobs) / 2)
    calls = (#retries + #jobs) / 2
  end
  local turn = #polls / 3 > calls and '0' or '1'
  if (calls + #polls / 3) % 2 == 1 and turn ~= (state.poll_turn or '0') then redis.call('HSET', STATE, 'poll_turn', turn) end
end

local calls = (#retries + #jobs) / 2
local count = polls and calls + #polls / 3 or calls
if count == 0 then
  if a_group_is_gone then return {} end
  if slots > 0 then return answer(FOREVER, RETRIES, JOBS, POLLS) end
  redis.call('HSET', STATE, 'full', 1)
  return answer(FOREVER, FREED, POLLS)
end

-- A worker with entries must be known before its first heartbeat, or its death would not be detected.
redis.call('ZADD', HEARTBEATS, 'NX', now_ms, consumer)
if #windows > 0 then
  paced_from = paced_from + count * gap -- their places in the pace
  first = charge(count, 'pace', text(paced_from), 'gap', text(gap))
end
if probing then
  is_probe = 1
  local entry = retries[1] and 'retries' .. retries[1] or jobs[1] and 'jobs' .. jobs[1] or 'polls' .. polls[1]
  local probe, life = ARGV[own + 3], tonumber(ARGV[own + 4])
  redis.call('HSET', STATE, 'probe', probe, 'probe_until', text(now + life), 'probe_entry', entry)
  return answer(life, FREED)
end
if count < room and calls < slots then return answer(FOREVER, RETRIES, JOBS, POLLS) end
return answer(wait_for_one())
