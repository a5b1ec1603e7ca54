"""Ready-made definitions of real vendors, each with answers to test it against.

`NAME.toml` is the definition, whose first line says what the vendor does. `answers/NAME.json` has
what the vendor answers. Both were written by hand from the vendor's public documentation, which
each definition names. What that does not show is marked `# assumed` in the definition, and
`"assumed": true` in the answers.
"""
