"""Expressions of definitions: JMESPath with a few functions of our own, and within limits.

An expression sees only the values that it is given, which never include a secret.
"""
