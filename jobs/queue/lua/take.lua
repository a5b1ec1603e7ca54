-- Takes the entries that may start now, and charges for exactly those. Runs after limits.lua and admission.lua.
-- own arguments: consumer, token for a probe, life of a probe in microseconds
-- Returns nothing if a bucket can't be trusted. If the definition of one is older than one that a take has named: 'outdated', then for each
-- such bucket its index and that version. Else: now, wait, whether the entry is a probe, and lists: the streams whose next entry ends the
-- wait of `wait` microseconds, each with its last id; and for each key with which something was taken its index, first charge (0: nothing
-- counts), and the entries from retries, from jobs (both as entry id and job id), and from polls (with its due time as a third).
local consumer, probe, probe_life = argument(), argument(), tonumber(argument())

if #outdated > 0 then
  local reply = { 'outdated' }
  for _, index in ipairs(outdated) do
    reply[#reply + 1], reply[#reply + 2] = index, buckets[index].state.version
  end
  return reply
end

-- What the definition does not ask for any more is not kept: if it does so again, the bucket is stale.
local function forget(bucket)
  local state = bucket.state
  if not bucket.is_paced and bucket.known_depth > 0 then
    redis.call('DEL', bucket.log)
    redis.call('HDEL', bucket.hash, 'depth', 'length', 'newest', 'pace', 'gap', 'owed')
    bucket.known_depth, bucket.known_length, bucket.newest = 0, 0, 0
  end
  if bucket.quota == '' and state.quota then redis.call('HDEL', bucket.hash, 'quota', 'estimated') end
  if bucket.cap == 0 and state.capped then
    redis.call('HDEL', bucket.hash, 'capped')
    redis.call('DEL', bucket.in_flight)
  end
end

for _, bucket in ipairs(buckets) do
  if bucket.state.version ~= bucket.version then redis.call('HSET', bucket.hash, 'version', bucket.version) end
  forget(bucket)
end
if #stale > 0 then return {} end

local groups, is_probe = {}, 0
local function answer(wait, listen)
  local ends = {}
  for _, stream in ipairs(listen) do
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    ends[#ends + 1], ends[#ends + 2] = stream, last[1] and last[1][1] or '0-0'
  end
  return { now, wait, is_probe, ends, groups }
end

local kind, wait, freed = hold_of_vendor()
if kind then return answer(wait, { freed }) end
if state.open_until then want = 1 end
if state.recovering then want = math.min(want, room_in_recovery()) end
if want <= 0 then
  redis.call('HSET', STATE, 'full', 1)
  return answer(FOREVER, { FREED })
end

for _, bucket in ipairs(buckets) do
  measure(bucket)
  -- A quota that is spent by an estimate is counted again, once the calls that were in progress are over.
  if bucket.ranges and left_of_quota(bucket) < weight and now - tonumber(bucket.state.estimated or now) > 5000000 then
    redis.call('HDEL', bucket.hash, 'run_id')
    return {}
  end
end
if keys[2] then
  -- The key with most room comes first; if several have as much as is wanted, the one that was not used for longest. A vendor that is
  -- polled goes by that alone: polls of a key with little room would wait for as long as another one had more.
  for _, key in ipairs(keys) do key.room = is_polled and 0 or room_for(key, weight) end
  table.sort(keys, function(one, other)
    if one.room ~= other.room then return one.room > other.room end
    return one.used < other.used
  end)
end

local now_ms, a_group_is_gone, no_calls = text(now / 1000), false, false

-- Reads up to `count` entries into `list`, each with the values of these fields ('' if unreadable: it is refused, and its job found lost).
-- Returns how many.
local function read(stream, list, count, fields)
  if count <= 0 then return 0 end
  local reply = redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return 0 end
  if reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then error(reply) end
    return nil -- the stream was deleted alone, and the group with it
  end
  for _, entry in ipairs(reply[1][2]) do
    local values = {}
    for i = 1, #entry[2], 2 do values[entry[2][i]] = entry[2][i + 1] end
    list[#list + 1] = entry[1]
    for _, field in ipairs(fields) do list[#list + 1] = values[field] or '' end
  end
  return #reply[1][2]
end

local CALL, POLL = { 'job' }, { 'job', 'due' }

local function spend(key, entries, units, slots)
  want = want - entries
  for _, bucket in ipairs(key.buckets) do
    bucket.units, bucket.paced = bucket.units - entries * units, bucket.paced - entries * units
    bucket.slots = bucket.slots - slots
  end
end

-- Reads up to `most` calls for a key; returns how many.
local function read_calls(key, group, most)
  if most <= 0 or no_calls then return 0 end
  local retries, jobs = group[3], group[4]
  local before = #retries + #jobs
  local first_retry, first_job = #retries + 1, #jobs + 1
  local got = read(RETRIES, retries, most, CALL)
  local more = read(JOBS, jobs, most - (got or 0), CALL)
  a_group_is_gone = a_group_is_gone or not got or not more
  local scores = {}
  for _, pair in ipairs({ { retries, first_retry }, { jobs, first_job } }) do
    for i = pair[2], #pair[1], 2 do
      if pair[1][i + 1] ~= '' then scores[#scores + 1], scores[#scores + 2] = now_ms, pair[1][i + 1] end
    end
  end
  for _, bucket in ipairs(#scores > 0 and key.buckets or {}) do
    if bucket.member == '' or bucket.cap > 0 then redis.call('ZADD', bucket.in_flight, unpack(scores)) end
  end
  local calls = (#retries + #jobs - before) / 2
  no_calls = calls < most
  spend(key, calls, weight, calls)
  return calls
end

local function read_polls(key, group, most)
  local polls = read(key.polls, group[5], most, POLL)
  if not polls then
    -- No rebuild is needed: with the stream, only hints are lost. The sweep adds an entry again when its lease ends.
    redis.call('XGROUP', 'CREATE', key.polls, 'workers', '0', 'MKSTREAM')
    polls = read(key.polls, group[5], most, POLL)
  end
  key.no_polls = polls < most
  spend(key, polls, poll_weight, 0)
  return polls
end

-- While calls wait that could start, polls get half of the permits. An odd one, such as a single one, goes to both kinds by turns: to a
-- poll if `poll_turn` in the state is 1. What one kind leaves, the other takes.
local function read_both(key, group)
  local field = 'poll_turn' .. (key.name ~= '' and ':' .. key.name or '')
  local turn = state[field] or '0'
  local most = room_for(key, weight)
  local of_calls = key.calls and math.min(room_for(key, weight, true), most - math.floor((most + tonumber(turn)) / 2)) or 0
  local calls = read_calls(key, group, of_calls)
  local polls = read_polls(key, group, room_for(key, poll_weight))
  if key.calls and calls == of_calls then -- there may be more
    calls = calls + read_calls(key, group, room_for(key, weight, true))
  end
  local next_turn = polls > calls and '0' or '1'
  if (calls + polls) % 2 == 1 and next_turn ~= turn then redis.call('HSET', STATE, field, next_turn) end
  return calls, polls
end

for _, key in ipairs(keys) do
  local group, calls, polls = { key.index, 0, {}, {}, {} }, 0, 0
  if key.polls then
    calls, polls = read_both(key, group)
  elseif key.calls then
    calls = read_calls(key, group, room_for(key, weight, true))
  end
  if calls + polls > 0 then
    group[2] = charge(key.buckets, calls * weight + polls * poll_weight, math.max(calls > 0 and weight or 0, polls > 0 and poll_weight or 0))
    if keys[2] then redis.call('HSET', STATE, 'used:' .. key.name, text(now)) end
    groups[#groups + 1] = group
  end
end

-- Returns until when there is nothing to take: how long, and the streams whose next entry ends that early.
local function next_look()
  local wait, listen, seen = FOREVER, {}, {}
  local function add(stream)
    if not seen[stream] then listen[#listen + 1] = stream end
    seen[stream] = true
  end
  if no_calls then
    add(RETRIES)
    add(JOBS)
  end
  for _, key in ipairs(keys) do
    if key.calls and not no_calls then
      local for_call = wait_of(key, weight)
      local is_full = false
      for _, bucket in ipairs(for_call == 0 and key.buckets or {}) do
        if bucket.slots <= 0 then
          is_full = true
          if not seen[bucket.freed] then redis.call('HSET', bucket.hash, 'full', 1) end
          add(bucket.freed)
        end
      end
      if not is_full then wait = math.min(wait, for_call) end
    end
    if key.no_polls then add(key.polls) elseif key.polls then wait = math.min(wait, (wait_of(key, poll_weight))) end
  end
  return wait, listen
end

if #groups == 0 then
  if a_group_is_gone then
    redis.call('HDEL', STATE, 'run_id')
    return {}
  end
  return answer(next_look())
end
-- A worker with entries must be known before its first heartbeat, or its death would not be detected.
redis.call('ZADD', HEARTBEATS, 'NX', now_ms, consumer)
if state.open_until then
  is_probe = 1
  local group = groups[1]
  local entry = group[3][1] and 'retries' .. group[3][1] or group[4][1] and 'jobs' .. group[4][1] or 'polls' .. group[5][1]
  redis.call('HSET', STATE, 'probe', probe, 'probe_until', text(now + probe_life), 'probe_entry', entry)
  return answer(probe_life, { FREED })
end
return answer(next_look())
