"""How Django's own pages show times, for each language: there is one."""
