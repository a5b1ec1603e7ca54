"""Requests and answers: deadlines, retries, errors."""
