"""The one outbound call: `post_json`. The other modules of this room are its parts."""

from vendors.http.call import post_json

__all__ = ["post_json"]
