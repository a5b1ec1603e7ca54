"""The only outbound call: `request`, and `post_json` for the common case. The other modules of this
folder are its parts.
"""

from vendors.base import DIRECT, Outbound
from vendors.http.call import error_of, post_json, request

__all__ = ["DIRECT", "Outbound", "error_of", "post_json", "request"]
