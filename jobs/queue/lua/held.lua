-- Says what holds the calls of a vendor, by what take would do now. Runs after limits.lua and admission.lua, and writes nothing.
-- Returns now; and if something holds them: its kind (pause, breaker, recovery, credential, in_flight, limit or quota), the index of its
-- bucket or the name of the key ('' for the whole vendor), and until when, at most (0: unknown); then for each key that may be used for
-- calls, if none of them permits one: the buckets of which its quota is spent, each with until when.
if #outdated > 0 or #stale > 0 then return { now } end
if held_by then return { now, held_by, '', held_us < FOREVER and now + held_us or 0 } end

-- Returns how long the calls with one key are held, by what, and its name; nothing if they may start.
local function hold_of(key)
  local wait, slowest, is_quota = wait_of(key, weight)
  for i = 1, wait < FOREVER and #key.buckets or 0 do -- an end that is not known is later than one that is near
    if key.buckets[i].slots <= 0 then return FOREVER, 'in_flight', text(key.buckets[i].index) end
  end
  if slowest then return wait, is_quota and 'quota' or 'limit', text(slowest.index) end
  if wait > 0 then return wait, 'credential', key.name end
end

local function spent_of(key)
  local spent = {}
  for i = 1, any_quota and #key.buckets or 0 do
    local bucket = key.buckets[i]
    local wait = bucket.ranges and wait_for_quota(bucket, weight) or 0
    if wait > 100000 then spent[#spent + 1], spent[#spent + 2] = bucket.index, now + wait end -- else it ends, or no range contains now
  end
  return spent
end

local shortest, held, spent = math.huge, { now, 'credential', '', 0 }, {} -- no key may be used for calls
for _, key in ipairs(keys) do
  if key.calls then
    local wait, kind, name = hold_of(key)
    if not wait then return { now } end
    if wait < shortest then shortest, held = wait, { now, kind, name, wait == FOREVER and 0 or now + wait } end
    spent[#spent + 1] = spent_of(key)
  end
end
for i = 1, #spent do held[4 + i] = spent[i] end
return held
