"""Clients and their API keys in the console. Each act leaves an audit entry (clients.issuing,
clients.editing).
"""
