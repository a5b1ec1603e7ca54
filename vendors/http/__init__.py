"""The only outbound call: `post_json`. The other modules of this folder are its parts."""

from vendors.http.call import post_json

__all__ = ["post_json"]
