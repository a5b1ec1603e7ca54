"""The page about errors: which, of which vendor, how often, and what to do."""
