-- Has nobody use a bucket until it is rebuilt, nor an older version of the settings of those that it counts.
-- KEYS states of shared buckets, then states of vendors | ARGV how many are shared, then the version of each
for i, state in ipairs(KEYS) do
  if i <= tonumber(ARGV[1]) then redis.call('HDEL', state, 'run_id') end
  local version = ARGV[i + 1]
  if tonumber(version) > tonumber(redis.call('HGET', state, 'version') or 0) then redis.call('HSET', state, 'version', version) end
end
