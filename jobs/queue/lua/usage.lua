-- Says how much of each bucket is used. Runs after limits.lua, and writes nothing.
-- Returns now, and a list for each bucket, empty if its calls must be counted again first: the jobs in flight; when the pace has the next
-- start due; the units that its quota counts now and until when (0: it has no quota); and for each window the units in it and, if it is
-- full, when the next one may start.
local reply, is_stale = { now }, {}
for _, index in ipairs(stale) do is_stale[index] = true end

-- Around a boundary, a call counts in the quota of both periods: the fuller one decides.
local function of_quota(bucket)
  local used, resets_at = 0, 0
  for _, range in ipairs(bucket.ranges or {}) do
    local spent = bucket.quota - range.left
    if range.from <= now and range.to > now and (resets_at == 0 or spent >= used) then used, resets_at = spent, range.to end
  end
  return used, resets_at
end

for index, bucket in ipairs(buckets) do
  local usage = {}
  if not is_stale[index] then
    usage = { bucket.cap > 0 and redis.call('ZCARD', bucket.in_flight) or 0, bucket.paced_from or 0, of_quota(bucket) }
    for _, window in ipairs(bucket.windows) do
      local room = room_in(bucket, window, window.calls)
      usage[#usage + 1] = window.calls - room
      usage[#usage + 1] = room == 0 and tonumber(redis.call('LINDEX', bucket.log, window.calls - 1)) + window.length + 1 or 0
    end
  end
  reply[index + 1] = usage
end
return reply
