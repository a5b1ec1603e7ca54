-- Returns the units of a charge to one bucket, newest first, as the log has them. Runs before renew and settle.
-- What was charged before the bucket was rebuilt is not returned: another call may stand for it in the log. Neither is what the log does
-- not hold: it was returned before.
-- Returns how many there were, and the newest start that is left.
local function refund(log, hash, charge, units)
  local rebuilt = redis.call('HGET', hash, 'rebuilt')
  if rebuilt and charge <= tonumber(rebuilt) then return 0 end
  local count = 0
  for start = charge + units - 1, charge, -1 do
    if redis.call('LREM', log, 1, string.format('%d', start)) == 0 then break end
    count = count + 1
  end
  if count == 0 then return 0 end
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    local from, to = string.match(field, '^spent:(%d+):(%d+)$')
    local counted = from and math.min(tonumber(to), charge + units) - math.max(tonumber(from), charge + units - count) or 0
    if counted > 0 then redis.call('HINCRBY', hash, field, -counted) end
  end
  local newest = tonumber(redis.call('LINDEX', log, 0) or 0)
  redis.call('HSET', hash, 'newest', string.format('%d', newest)) -- or an emptied log would look lost
  return count, newest
end
