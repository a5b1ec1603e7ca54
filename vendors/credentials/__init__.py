"""Credentials: where a request shows the vendor who calls, and which variables hold the keys.

A definition names the place and the variables: those of a pool, of which each call uses one. The
keys themselves stand in neither a row nor an expression; they are read from the environment when a
request is ready to be sent. A key is known by its variable's name.
"""

from vendors.credentials.checking import ONE_PLACE
from vendors.credentials.placement import Placement, basic
from vendors.credentials.scheme import Scheme, apply, names_of, parse, variables_of

__all__ = [
    "ONE_PLACE",
    "Placement",
    "Scheme",
    "apply",
    "basic",
    "names_of",
    "parse",
    "variables_of",
]
