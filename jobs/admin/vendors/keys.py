"""The keys of a credential's pool: their states, and how an operator pauses and resumes one."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from audit.record import record
from jobs.admin import key_states, states
from jobs.admin.access import Forbidden
from jobs.admin.actor import actor
from jobs.admin.formats import counted
from jobs.admin.vendors.page.pausing import PauseForm
from jobs.admin.vendors.shared import SharedAdmin
from jobs.models.keys_in_use import open_jobs_by_key
from jobs.queue.clock import redis_clock
from jobs.queue.health.pausing import pause_users
from jobs.queue.heartbeat import WorkerReport
from vendors import pauses
from vendors.loading.trail import target_of
from vendors.models import Credential, CredentialKey, users_of

RUNNING = "running"
UNUSED = f"{key_states.NOT_USED}. Set it in the environment of the workers, and restart them."
PAUSED_FOR_LONGER = "Key {} is already paused for longer. Resume it first to shorten the pause."
ALREADY_PAUSED = "Key {} is already paused. Resume it first to change the pause."
NOT_RESUMED = "Key {} is not paused."
NO_KEY = "The credential has no key {!r}. Its definition may have changed."


class Key(NamedTuple):
    """A key as the page shows it."""

    name: str
    is_retired: bool
    variable: str  # whether this process and the workers have it
    state: str
    open_jobs: str
    can_pause: bool
    can_resume: bool


class KeysAdmin(SharedAdmin):
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        keys = "<path:object_id>/keys/<str:name>"
        return [
            path(f"{keys}/pause/", view(self._pause_view), name="vendors_credential_pause_key"),
            path(f"{keys}/resume/", view(self._resume_view), name="vendors_credential_resume_key"),
            *super().get_urls(),
        ]

    def has_pause_permission(self, request: HttpRequest, obj: Credential) -> bool:
        """Whether the user may pause keys: whoever may pause the vendors that use them."""
        may_pause = request.user.has_perm("vendors.pause_vendor")
        return may_pause and self.has_view_permission(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if credential := kwargs["obj"]:
            credential.may_pause = self.has_pause_permission(request, credential)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="Keys")
    def keys(self, credential: Credential) -> str | SafeString:
        if credential._state.adding:
            return "-"
        may_pause = getattr(credential, "may_pause", False)
        credential = Credential.objects.get(pk=credential.pk)  # not the values of a form
        context = {
            "credential": credential,
            "keys": list(_keys(credential)),
            "fault": "" if credential.faults else credential.fault,
            "may_pause": may_pause,
        }
        return render_to_string("admin/vendors/credential/keys.html", context)

    def _pause_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """GET: ask for the reason. POST: pause the key."""
        if (credential := self._credential(request, object_id, name)) is None:
            return HttpResponseRedirect(reverse("admin:vendors_credential_changelist"))
        form = PauseForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._ask(request, credential, name, "pause", form)
        before, running = _state(credential, name), _paused_users(credential, is_paused=False)
        if _pause(credential, name, by=request.user.get_username(), **form.cleaned_data):
            also = running & _paused_users(credential)
            reason = form.cleaned_data["reason"]
            self._record_key(
                request, credential, name, "paused", before=before, vendors=also, reason=reason
            )
        else:
            warning = PAUSED_FOR_LONGER if form.cleaned_data["until"] else ALREADY_PAUSED
            messages.warning(request, warning.format(name))
        return HttpResponseRedirect(_url(credential))

    def _resume_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """GET: ask whether to. POST: resume the key, and the vendors paused because of it."""
        if (credential := self._credential(request, object_id, name)) is None:
            return HttpResponseRedirect(reverse("admin:vendors_credential_changelist"))
        if request.method != "POST":
            return self._ask(request, credential, name, "resume", None)
        before, paused = _state(credential, name), _paused_users(credential)
        if pauses.keys.resume(credential.slug, name, now=redis_clock.now()):
            also = paused - _paused_users(credential)
            self._record_key(request, credential, name, "resumed", before=before, vendors=also)
        else:
            messages.warning(request, NOT_RESUMED.format(name))
        return HttpResponseRedirect(_url(credential))

    def _credential(self, request: HttpRequest, object_id: str, name: str) -> Credential | None:
        """Return the credential that has this key; None, and a message, if there is none."""
        credential = Credential.objects.filter(pk=unquote(object_id)).first()
        if credential and not self.has_pause_permission(request, credential):
            raise Forbidden("vendors.pause_vendor")
        if credential is None or name not in credential.key_names:
            messages.warning(request, NO_KEY.format(name[:100]))
            return None
        return credential

    def _ask(
        self,
        request: HttpRequest,
        credential: Credential,
        name: str,
        act: str,
        form: PauseForm | None,
    ) -> HttpResponse:
        now = redis_clock.now()
        pool = [] if credential.fault else credential.pool(now)
        others = [key.name for key in pool if key.calls and key.name != name]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{act.capitalize()} key {name}?",
            "opts": self.opts,
            "credential": credential,
            "back_url": _url(credential),
            "act": act,
            "form": form,
            "state": _state(credential, name),
            "others": others,
            "users": users_of(credential),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/vendors/credential/key.html", context)

    def _record_key(
        self,
        request: HttpRequest,
        credential: Credential,
        name: str,
        done: str,
        *,
        before: str,
        vendors: set[str],
        reason: str = "",
    ) -> None:
        """Record what was done to a key, and to the vendors that it was done to as well."""
        by, after = actor(request), _state(credential, name)
        action = f"credential.key_{done}"
        record(by, action, target_of(credential), {name: [before, after]}, reason=reason)
        for slug in sorted(vendors) if done == "resumed" else ():  # pausing them leaves entries
            change = {"state": ["paused", f"{done} with the key {name} of credential {credential}"]}
            record(by, f"vendor.{done}", f"vendor:{slug}", change, reason=reason)
        also = f" Vendors {done} with it: {', '.join(sorted(vendors))}." if vendors else ""
        messages.success(request, f"Key {name} is {done}.{also}")


def _keys(credential: Credential) -> Iterator[Key]:
    now, workers = redis_clock.now(), key_states.workers()
    jobs, is_all = open_jobs_by_key(credential.slug)
    unused = key_states.lacking(credential, workers)
    for name in credential.key_names:
        row = credential.states.get(name)
        is_paused = row is not None and row.is_paused(now)
        yield Key(
            name,
            is_retired=name in credential.retired,
            variable=_variable(credential, name, workers),
            state=states.pause(row) if row and is_paused else UNUSED if name in unused else RUNNING,
            open_jobs=f"{jobs[name]:,}" if is_all else f"{jobs[name]:,} or more",
            can_pause=row is None or not row.paused,
            can_resume=is_paused,
        )


def _variable(credential: Credential, name: str, workers: Sequence[WorkerReport]) -> str:
    """Return whether this process has what the key needs, and how many workers lack it."""
    of_key = f"{credential.slug}/{name}"
    if credential.grant and name in credential.definition.get("retired_env", []):
        return "Not needed: the token is sent."
    here = credential.faults.get(name, "") or "Set here."
    lacking = [worker.why[of_key] for worker in workers if of_key in worker.why]
    if not lacking:
        return here
    reasons = " ".join(sorted({*lacking} - {here}))
    where = f"Missing at {len(lacking)} of {counted(len(workers), 'worker')}"
    return f"{here} {where}: {reasons}" if reasons else f"{here} {where}, too."


def _state(credential: Credential, name: str) -> str:
    row = CredentialKey.objects.filter(credential=credential.slug, name=name).first()
    return states.pause(row) if row and row.is_paused(redis_clock.now()) else RUNNING


def _pause(credential: Credential, name: str, *, reason: str, until: Any, by: str) -> bool:
    """Pause a key and, if no other is left for calls, the vendors. False: it already was."""
    if until:
        now = redis_clock.now()
        done = pauses.keys.pause_until(credential.slug, name, until, reason, by, now=now)
    else:
        done = pauses.keys.pause(credential.slug, name, reason, by)
    if done:
        pause_users(credential.slug)
    return done


def _paused_users(credential: Credential, *, is_paused: bool = True) -> set[str]:
    now = redis_clock.now()
    return {it.slug for it in users_of(credential) if it.is_paused(now) == is_paused}


def _url(credential: Credential) -> str:
    return reverse("admin:vendors_credential_change", args=[quote(credential.pk)])
