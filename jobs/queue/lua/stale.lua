-- Returns 1 if the log must be rebuilt from the rows before it can be trusted, else 0. Runs after limits.lua.
return is_stale and 1 or 0
