"""Vendors without code: called and polled as their definitions say, and calling back as real
vendors do.
"""
