"""The command enrichlabs: files in, files out."""
