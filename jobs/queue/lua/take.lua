-- Takes the entries that may start now, and charges for exactly those. Runs after limits.lua and admission.lua.
-- own arguments, after those of admission: consumer, token for a probe, life of a probe in microseconds
-- Returns nothing if a bucket can't be trusted. If the definition of one is older than one that a take has named: 'outdated', then for each
-- such bucket its index and that version. Else: now, wait, whether the entry is a probe, the streams whose next entry ends the wait of
-- `wait` microseconds, each with its last id; and for each key with which something was taken its index, first charge (0: nothing counts),
-- and the entries from retries, from jobs (both as entry id and job id), and from polls (with its due time as a third). Of the lists, an
-- empty one is 0: to return a table takes as long as a short command.
local consumer = ARGV[own + 1]

if outdated[1] then
  local reply = { 'outdated' }
  for _, index in ipairs(outdated) do
    reply[#reply + 1], reply[#reply + 2] = index, buckets[index].known_version
  end
  return reply
end

for i = 1, any_changed and #buckets or 0 do
  local bucket = buckets[i]
  local hash = bucket.hash
  redis.call('HSET', hash, 'version', bucket.version)
  -- What the definition does not ask for any more is forgotten. If it asks for that again, the bucket is stale.
  if not bucket.gap and bucket.known_depth > 0 then
    redis.call('DEL', bucket.log)
    redis.call('HDEL', hash, 'depth', 'length', 'newest', 'pace', 'gap', 'owed')
    bucket.newest = 0
  end
  if not bucket.ranges and bucket.known_quota then redis.call('HDEL', hash, 'quota', 'estimated') end
  if bucket.cap == 0 and bucket.capped then redis.call('HDEL', hash, 'capped') end
end
for i = 1, any_quota and #buckets or 0 do
  local bucket = buckets[i]
  -- A quota that is spent by an estimate is counted again, once the calls that were in progress are over.
  local estimated = bucket.ranges and left_of(bucket) < weight and redis.call('HGET', bucket.hash, 'estimated')
  if estimated and now - estimated > 5000000 then
    redis.call('HDEL', bucket.hash, 'run_id')
    stale[#stale + 1] = i
  end
end
if stale[1] then return {} end

local reply = { now, 0, 0, 0 }
local function answer(wait, listen)
  local ends = {}
  for i = 1, #listen do
    local last = redis.call('XREVRANGE', listen[i], '+', '-', 'COUNT', 1)
    ends[#ends + 1], ends[#ends + 2] = listen[i], last[1] and last[1][1] or '0-0'
  end
  reply[2], reply[4] = wait, ends[1] and ends or 0
  return reply
end

if held_by == 'recovery' then redis.call('HSET', STATE, 'full', 1) end
if held_by then return answer(held_us, { wakes }) end

-- Returns how many calls of so many units may start with this key.
local function room_for(key, units, needs_slot)
  local room, of_key = key.pause_us > 0 and 0 or want, key.buckets
  for i = 1, #of_key do
    local bucket = of_key[i]
    if units > 0 then
      if bucket.paced < 0 then return 0 end
      -- A call may start when the pace has it due, however many units later the next one is due.
      room = math.min(room, math.floor(bucket.units / units), math.floor(bucket.paced / units) + 1)
    end
    if needs_slot and bucket.slots < room then room = bucket.slots end
  end
  return math.max(0, room)
end

local function spend(key, entries, units, slots)
  want = want - entries
  for i = 1, #key.buckets do
    local bucket = key.buckets[i]
    bucket.units, bucket.paced = bucket.units - entries * units, bucket.paced - entries * units
    bucket.slots = bucket.slots - slots
  end
end

-- Reads up to `count` calls into `list`, each as entry id and job id ('' if unreadable: it is refused, and its job found lost).
local now_ms, a_group_is_gone, no_calls = text(now / 1000), false, false
local function read(stream, key, list, count)
  local reply = count > 0 and redis.pcall('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return end
  if reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then error(reply) end
    a_group_is_gone = true -- the stream was deleted alone, and the group with it
    return
  end
  local scores, entries = {}, reply[1][2]
  for e = 1, #entries do
    local fields, job = entries[e][2], ''
    for i = 1, #fields, 2 do
      if fields[i] == 'job' then job = fields[i + 1] end
    end
    list[#list + 1], list[#list + 2] = entries[e][1], job
    if job ~= '' then scores[#scores + 1], scores[#scores + 2] = now_ms, job end
  end
  for i = 1, scores[1] and #key.buckets or 0 do
    local bucket = key.buckets[i]
    if not bucket.is_shared or bucket.cap > 0 then redis.call('ZADD', bucket.in_flight, unpack(scores)) end
  end
end

-- Reads up to `most` calls for a key, and returns how many.
local function read_calls(key, retries, jobs, most)
  if most <= 0 or no_calls then return 0 end
  local before = #retries + #jobs
  local any_retries = redis.call('XLEN', RETRIES) > 0 -- mostly none, and to read takes several times as long
  if any_retries then read(RETRIES, key, retries, most) end
  read(JOBS, key, jobs, most - (#retries + #jobs - before) / 2)
  local calls = (#retries + #jobs - before) / 2
  if calls == 0 and not any_retries then read(RETRIES, key, retries, most) end -- to find that its group is gone
  no_calls = calls < most
  spend(key, calls, weight, calls)
  return calls
end

local read_both
if is_polled then
  local function read_polls(key, list, most)
    local command = { 'XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', most, 'STREAMS', key.polls, '>' }
    local reply = most > 0 and redis.pcall(unpack(command))
    if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
      -- No rebuild is needed: with the stream, only hints are lost. The sweep adds an entry again when its lease ends.
      redis.call('XGROUP', 'CREATE', key.polls, 'workers', '0', 'MKSTREAM')
      reply = redis.pcall(unpack(command))
    end
    if reply and reply.err then error(reply) end
    local entries = reply and reply[1][2] or {}
    for _, entry in ipairs(entries) do
      local fields = {}
      for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
      for _, part in ipairs({ entry[1], fields.job or '', fields.due or '' }) do list[#list + 1] = part end
    end
    key.no_polls = #entries < most
    spend(key, #entries, poll_weight, 0)
    return #entries
  end

  -- While calls wait that could start, polls get half of the permits (of the entries, if they take none). An odd one, such as a single one,
  -- goes to both kinds by turns: to a poll if `poll_turn` in the state is 1. What one kind leaves, the other takes. Returns how many calls
  -- and polls were read.
  function read_both(key, retries, jobs, list)
    local field = key.name == '' and 'poll_turn' or 'poll_turn:' .. key.name
    local turn = redis.call('HGET', STATE, field) or '0'
    local room = poll_weight > 0 and room_for(key, weight) or want
    local of_calls = key.calls and math.min(room_for(key, weight, true), room - math.floor((room + turn) / 2)) or 0
    local calls = read_calls(key, retries, jobs, of_calls)
    local polls = read_polls(key, list, room_for(key, poll_weight))
    if key.calls and calls == of_calls then -- there may be more
      calls = calls + read_calls(key, retries, jobs, room_for(key, weight, true))
    end
    local next_turn = polls > calls and '0' or '1'
    if (calls + polls) % 2 == 1 and next_turn ~= turn then redis.call('HSET', STATE, field, next_turn) end
    return calls, polls
  end
end

if keys[2] then
  -- The key with most room comes first; if several have as much as is wanted, the one that was not used for longest. A vendor that is
  -- polled goes by that alone: polls of a key with little room would wait for as long as another one had more.
  for _, key in ipairs(keys) do
    key.room = is_polled and 0 or room_for(key, weight)
    key.used = tonumber(redis.call('HGET', STATE, 'used:' .. key.name) or 0)
  end
  table.sort(keys, function(one, other)
    if one.room ~= other.room then return one.room > other.room end
    return one.used < other.used
  end)
end

local any_taken = false
for i = 1, #keys do
  local key, retries, jobs, polls = keys[i], {}, {}, {}
  local calls, others = 0, 0
  if key.polls then
    calls, others = read_both(key, retries, jobs, polls)
  else
    calls = read_calls(key, retries, jobs, room_for(key, weight, true))
  end
  if calls + others > 0 then
    any_taken = true
    local owed = calls > 0 and math.max(weight, others > 0 and poll_weight or 0) or poll_weight
    local first = charge(key.buckets, calls * weight + others * poll_weight, owed)
    local size = #reply
    reply[size + 1], reply[size + 2] = key.index, first
    reply[size + 3], reply[size + 4], reply[size + 5] = retries[1] and retries or 0, jobs[1] and jobs or 0, polls[1] and polls or 0
    if keys[2] then redis.call('HSET', STATE, 'used:' .. key.name, text(now)) end
    if open_until then -- the entry is a probe
      local entry = retries[1] and 'retries' .. retries[1] or jobs[1] and 'jobs' .. jobs[1] or 'polls' .. polls[1]
      redis.call('HSET', STATE, 'probe', ARGV[own + 2], 'probe_until', text(now + ARGV[own + 3]), 'probe_entry', entry)
      reply[3] = 1
    end
  end
end

if any_taken then
  -- A worker with entries must be known before its first heartbeat, or its death would not be detected.
  redis.call('ZADD', HEARTBEATS, 'NX', now_ms, consumer)
elseif a_group_is_gone then
  redis.call('HDEL', STATE, 'run_id')
  return {}
end
if reply[3] == 1 then return answer(tonumber(ARGV[own + 3]), { FREED }) end

-- Nothing can be taken until the limits permit more, new entries come, or a slot is freed: whichever comes first for one of the keys.
local wait, listen = FOREVER, no_calls and { RETRIES, JOBS } or {}
for i = 1, #keys do
  local key = keys[i]
  if key.calls and not no_calls then
    local for_call, is_full = wait_of(key, weight), false
    for b = 1, for_call == 0 and #key.buckets or 0 do
      local bucket = key.buckets[b]
      if bucket.slots <= 0 then
        is_full = true
        if not bucket.is_awaited then listen[#listen + 1] = bucket.freed end
        bucket.is_awaited = true
        redis.call('HSET', bucket.hash, 'full', 1)
      end
    end
    if not is_full and for_call < wait then wait = for_call end
  end
  if key.no_polls then
    listen[#listen + 1] = key.polls
  elseif key.polls then
    wait = math.min(wait, (wait_of(key, poll_weight)))
  end
end
return answer(wait, listen)
