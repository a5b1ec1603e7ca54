"""The only outbound call: `request`, and `post_json` for the common case. The other modules of this
folder are its parts.
"""

from vendors.http.call import error_of, post_json, request
from vendors.outbound import DIRECT, Outbound

__all__ = ["DIRECT", "Outbound", "error_of", "post_json", "request"]
