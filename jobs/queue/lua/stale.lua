-- Returns the indexes of the buckets that must be rebuilt from the rows before they can be trusted. Runs after limits.lua.
return stale
