"""The streams of a vendor's polls: one for each key of its credential, since a job is polled with
the key that it was called with.
"""

from jobs.queue.keys import Keys
from vendors.models import Vendor


def poll_streams(vendor: Vendor) -> dict[str, str]:
    """Return the streams by the key's name, in the order of the credential's definition; '' for
    polls without a key, whose stream is the first.
    """
    names = vendor.credential.variable_names if vendor.credential else []
    return {key: Keys(vendor.slug).polls_of(key) for key in ("", *names)}
