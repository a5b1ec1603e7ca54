"""Personal data in the console: names, inputs, results, and what vendors answered.

Lists show a name only to users who may see personal data, and are searched by it only for them. A
page shows MASKED instead, and a button that shows it: a POST, which the audit trail records.
"""

import json
import re
from urllib.parse import quote, quote_plus

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.record import record
from jobs.admin.actor import actor
from jobs.models import Job

PERMISSION = "jobs.view_personal_data"
MASKED = format_html('<span class="masked" title="{}">•••••</span>', "Personal data is hidden.")


def may_see(request: HttpRequest) -> bool:
    return bool(request.user.has_perm(PERMISSION))


def name_for(request: HttpRequest, name: str) -> str | SafeString:
    """Return a job's name as a list shows it to this user."""
    if not name:
        return "-"
    return name if may_see(request) else MASKED


def without_name(request: HttpRequest, job: Job, text: str) -> str:
    """Return a text about the job without its name, for a user who may not see that. An adapter's
    message should not hold it, but may, also in capitals or as it was written in a URL or JSON.
    """
    if not job.name or not text or may_see(request):
        return text
    spellings = {job.name, quote(job.name), quote_plus(job.name), json.dumps(job.name)[1:-1]}
    longest_first = sorted(map(re.escape, spellings), key=len, reverse=True)
    return re.sub("|".join(longest_first), "•••••", text, flags=re.IGNORECASE)


def note_seen(request: HttpRequest, target: str, action: str, response: HttpResponse) -> None:
    """Record that the user has been shown personal data, and keep the page out of caches. Before
    the response is returned: without the entry, nothing is shown.
    """
    record(actor(request), action, target)
    response["Cache-Control"] = "no-store, private"
