-- Restores the log, the counters and in_flight of one bucket from the rows, and creates missing groups.
-- KEYS log, state, in_flight, freed, rebuilder; and retries and jobs, if the bucket is a vendor's own
-- ARGV the token of the rebuilder's lock ('': without a lock); the number of units and the length in microseconds that the log
--      must cover; the vendors counted, as `vendors` in the state; the version of the settings; whether jobs in flight are limited;
--      the quota; whether calls in progress count in it; how many of its ranges follow, and for each its field and the units; how
--      many starts follow, and for each, the latest first, its time by the rows, when it may have been at the latest, and its
--      units; the jobs in flight
-- Returns 1, or 0 if another worker holds the lock by now: the rows that the caller has read are then too old.
local LOG, STATE, IN_FLIGHT, FREED, REBUILDER = unpack(KEYS)
local is_own = #KEYS > 5
local position = 0
local function argument()
  position = position + 1
  return ARGV[position]
end
local function number() return tonumber(argument()) end
local function text(value) return string.format('%d', value) end

local token = argument()
if token ~= '' and redis.call('GET', REBUILDER) ~= token then return 0 end
redis.call('DEL', REBUILDER)

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local state = {}
do
  local flat = redis.call('HGETALL', STATE)
  for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
end
local started = tonumber(state.pace or 0) - tonumber(state.owed or 1) * tonumber(state.gap or 0) -- by the pace
local clock_went_back = math.max(tonumber(state.newest or 0), started) > now + 1000000

local depth, length = number(), number()
local vendors, version = argument(), math.max(number(), tonumber(state.version or 0))
local is_capped, quota, is_estimated = argument() == '1', argument(), argument() == '1'
local fields = { 'run_id', run_id, 'version', text(version) }
local function set(...)
  for _, part in ipairs({ ... }) do fields[#fields + 1] = part end
end

-- A shared bucket is always written anew: not all that its vendors did is in its log. That of a vendor without a run id has lost only
-- the groups of its streams.
if not is_own or (state.run_id and state.run_id ~= run_id) or clock_went_back then
  redis.call('DEL', LOG, IN_FLIGHT, STATE)
  if not is_own and not clock_went_back and state.gap then set('pace', state.pace, 'gap', state.gap, 'owed', state.owed or 1) end
  if state.full then redis.call('XADD', FREED, 'MAXLEN', 1, '*', 'slot', '1') end
  state = {}
end
if not is_own then set('vendors', vendors) end
if is_capped then set('capped', 1) end
if quota ~= '' then set('quota', quota) end
if is_estimated then set('estimated', text(now)) end
for _ = 1, number() do set(argument(), argument()) end

-- What the log of a vendor's own bucket still holds is exact. The rows add what is older.
local is_empty = redis.call('EXISTS', LOG) == 0
if is_empty then set('rebuilt', text(now)) end
local oldest = tonumber(redis.call('LINDEX', LOG, -1) or now)
local MAX = 1000 -- Lua passes at most a few thousand arguments to a command
local batch = {}
local function flush(most)
  if #batch <= most then return end
  redis.call('RPUSH', LOG, unpack(batch))
  batch = {}
end
for _ = 1, number() do
  local at, latest, units = number(), number(), number()
  if is_empty or at < oldest then
    for unit = units - 1, 0, -1 do batch[#batch + 1] = text(math.min(latest + unit, oldest)) end
    flush(MAX)
  end
end
flush(0)

-- Without windows nothing is logged, so that windows set later begin with a rebuild.
if length > 0 then
  depth, length = math.max(depth, tonumber(state.depth or 0)), math.max(length, tonumber(state.length or 0))
  redis.call('PEXPIRE', LOG, text(length / 1000 + 1000))
  set('depth', text(depth), 'length', text(length), 'newest', redis.call('LINDEX', LOG, 0) or 0)
else
  redis.call('DEL', LOG)
  redis.call('HDEL', STATE, 'depth', 'length', 'newest')
end
redis.call('HSET', STATE, unpack(fields))

for i = position + 1, #ARGV do redis.call('ZADD', IN_FLIGHT, 'NX', text(now / 1000), ARGV[i]) end
for i = 6, #KEYS do redis.pcall('XGROUP', 'CREATE', KEYS[i], 'workers', '0', 'MKSTREAM') end
return 1
