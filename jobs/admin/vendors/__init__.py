"""The pages of vendors and of credentials, whose definitions are edited as TOML."""
