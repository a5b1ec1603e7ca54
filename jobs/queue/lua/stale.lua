-- Whether the log can't be trusted, so that it has to be made from the rows first. After limits.lua.
return is_stale and 1 or 0
