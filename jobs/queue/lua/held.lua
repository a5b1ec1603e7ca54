-- Says what holds the calls of a vendor, by what take would do now. Runs after limits.lua and admission.lua, and writes nothing.
-- Returns now; and if something holds them: its kind (pause, breaker, recovery, credential, in_flight, limit or quota), the index of its
-- bucket or the name of the key ('' for the whole vendor), and until when, at most (0: unknown).
if #outdated > 0 or #stale > 0 then return { now } end
if held_by then return { now, held_by, '', held_us < FOREVER and now + held_us or 0 } end

-- Returns how long the calls with one key are held, by what, and its name; nothing if they may start.
local function hold_of(key)
  local wait, slowest, is_quota = wait_of(key, weight)
  if slowest then return wait, is_quota and 'quota' or 'limit', text(slowest.index) end
  if wait > 0 then return wait, 'credential', key.name end
  for _, bucket in ipairs(key.buckets) do
    if bucket.slots <= 0 then return FOREVER, 'in_flight', text(bucket.index) end
  end
end

local shortest, held = math.huge, { now, 'credential', '', 0 } -- no key may be used for calls
for _, key in ipairs(keys) do
  if key.calls then
    local wait, kind, name = hold_of(key)
    if not wait then return { now } end
    if wait < shortest then shortest, held = wait, { now, kind, name, kind == 'in_flight' and 0 or now + wait } end
  end
end
return held
