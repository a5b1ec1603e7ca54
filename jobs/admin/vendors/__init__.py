"""The pages of vendors, credentials and limits, whose definitions are edited as TOML."""
