-- Counts a request of one client if all of its windows have room for it: a sliding-window log on Redis' clock.
-- KEYS requests
-- ARGV number of windows, then calls and length in microseconds of each, shortest first
-- Returns 1 if the request was counted, else 0; then for each window how many more it has room for, and in how many microseconds
-- the oldest of those counted leaves it (0: none is counted).
local LOG = KEYS[1]

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local windows, depth = {}, 0
for i = 1, tonumber(ARGV[1]) do
  windows[i] = { calls = tonumber(ARGV[2 * i]), length = tonumber(ARGV[2 * i + 1]) }
  depth = math.max(depth, windows[i].calls)
end

-- A log of another type, with other values, or from before the clock went back would refuse requests for no reason.
local newest = redis.pcall('LINDEX', LOG, 0)
if newest and (tonumber(newest) or math.huge) > now + 1000000 then
  redis.call('DEL', LOG)
  newest = false
end

local function start(index) return tonumber(redis.call('LINDEX', LOG, index)) or 0 end

local known, is_full = redis.call('LLEN', LOG), false
for _, window in ipairs(windows) do
  local low, high = 0, math.min(window.calls, known)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if start(middle - 1) + window.length > now then low = middle else high = middle - 1 end
  end
  window.counted = low
  is_full = is_full or low >= window.calls
end

local answer = { 0 }
if not is_full then
  answer[1] = 1
  known = redis.call('LPUSH', LOG, string.format('%d', math.max(now, tonumber(newest) or 0)))
  if known > depth then redis.call('LTRIM', LOG, 0, depth - 1) end
  redis.call('PEXPIRE', LOG, string.format('%d', windows[#windows].length / 1000 + 1000))
end
for _, window in ipairs(windows) do
  local counted = window.counted + answer[1]
  answer[#answer + 1] = window.calls - counted
  local reset = counted > 0 and start(counted - 1) + window.length - now or 0
  answer[#answer + 1] = math.max(0, math.min(reset, window.length)) -- whatever the log holds
end
return answer
