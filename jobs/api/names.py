"""What a job's name may be made of: people must see it, and read it as it is stored."""

import re

# Blanks, controls, what joins or formats other characters, and letters that are drawn as nothing.
_UNSEEN = (
    r"\s\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
# They make text read otherwise than it is stored. (The marks U+200E, U+200F and U+061C don't, and
# belong to some names.)
_TURNING = r"\u202a-\u202e\u2066-\u2069"

visible = re.compile(rf"[^{_UNSEEN}\U000e0000-\U000e0fff]")
turning = re.compile(rf"[{_TURNING}]")

# The same for the schema, of which no dialect of expressions makes something else.
PATTERN = rf"^[^\u0000{_TURNING}]*[^{_UNSEEN}][^\u0000{_TURNING}]*$"
