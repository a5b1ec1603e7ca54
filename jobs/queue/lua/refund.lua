-- Returns the units of a charge to one bucket. Runs before renew and settle.
-- What was charged before the bucket was rebuilt is not returned: the rows may show another call at the same time. Neither is what the
-- log does not hold: it was returned before.
-- Returns how many units were returned.
local function refund(bucket, charge, units)
  local state, returned = bucket.state, 0
  if charge <= tonumber(state.rebuilt or 0) then return 0 end
  for start = charge + units - 1, charge, -1 do -- newest first, as in the log
    if redis.call('LREM', bucket.log, 1, string.format('%d', start)) == 0 then break end
    returned = returned + 1
    for field in pairs(state) do
      local from, to = string.match(field, '^spent:(%d+):(%d+)$')
      if from and tonumber(from) <= start and start < tonumber(to) then
        state[field] = redis.call('HINCRBY', bucket.hash, field, -1)
      end
    end
  end
  if returned > 0 then
    bucket.newest = tonumber(redis.call('LINDEX', bucket.log, 0) or 0) -- or an emptied log would look lost
    redis.call('HSET', bucket.hash, 'newest', string.format('%d', bucket.newest))
  end
  return returned
end
