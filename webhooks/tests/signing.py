"""Signs callbacks as a vendor does."""

import base64
import time

from webhooks import signatures

SECRET = base64.b64encode(b"a secret of thirty-two bytes...!").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret before this one .....").decode()


def signed(body=b'{"name": "John Doe"}', *, secret=SECRET, message="msg_1", age_seconds=0):
    """Return the headers of a signed request."""
    seconds = int(time.time()) - age_seconds
    signature = signatures.sign(secret, message, seconds, body)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature,
    }
