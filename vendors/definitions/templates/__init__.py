"""Templates of requests: text and JSON with expressions in braces, {input.email}.

A value keeps its JSON type where a placeholder fills the whole text, and null leaves its key out.
"""
