"""A job's request as a curl command, to be repeated by hand. It names the API key's variable."""

import shlex
from typing import Any

from django.conf import settings

from jobs.models import Job
from vendors.payloads import exact
from vendors.payloads.json_reader import UNESCAPED

MAX_CHARACTERS = 100_000
KEY = "ENRICHLABS_KEY"


def repeat(job: Job) -> str:
    """Return the command that posts the job again; '' if it would be too long to be copied. What
    depends on the time when it was posted is left out: expires_in and not_before.
    """
    options = {"reference": job.reference, "metadata": job.metadata}
    options = {name: value for name, value in options.items() if value}
    body: dict[str, Any] = {"vendor": job.vendor, **job.input}
    body |= {"options": options} if options else {}
    text = exact.write(body, UNESCAPED)
    if len(text) > MAX_CHARACTERS:
        return ""
    return (
        f"curl {shlex.quote(settings.PUBLIC_URL.rstrip('/') + '/jobs')} \\\n"
        f'  -H "Authorization: Bearer ${KEY}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  --data-binary {shlex.quote(text)}"
    )
