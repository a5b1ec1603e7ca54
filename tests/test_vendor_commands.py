"""`manage.py vendor list|add|check|try` with vendors from the gallery and vendors without code."""

import json
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from harness.vendor.scripted import Answer
from jobs.models import Attempt, Job, Kind
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.worker import trial
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential, Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

KEY = "VENDOR_ACME_KEY"
LACKING = f"No worker can call it: The variable {KEY} is not set."


def vendor(*arguments):
    """Run the command. Returns what it printed and its exit status."""
    printed, said, status = StringIO(), StringIO(), 0
    try:
        call_command("vendor", *arguments, stdout=printed, stderr=said)
    except SystemExit as error:
        status = error.code
    return SimpleNamespace(text=printed.getvalue(), said=said.getvalue(), status=status)


def vendor_json(*arguments):
    return json.loads(vendor(*arguments, "--json").text)


def refusal(*arguments):
    with pytest.raises(CommandError) as caught:
        vendor(*arguments)
    return str(caught.value)


@pytest.fixture
def acme(make_vendor, vendor_server, redis_client, monkeypatch):
    """A vendor without code: its answer is polled for, and its credential can be checked."""
    monkeypatch.setenv(KEY, "k3y/+ secret")
    base = vendor_server.url.rstrip("/")
    Credential.objects.create(slug="acme", definition={"query": "sid", "keys_env": [KEY]})
    return make_vendor(
        adapter="http",
        url=f"POST {base}/people",
        required_input="",
        max_in_flight=1,
        rate_limits="100/h",
        definition={
            "json": {"mail": "{input.email}", "hook": "{call.callback_url}"},
            "input": {"email": "required"},
            "credential": "acme",
            "result": "body.person",
            "reference": "body.id",
            "cost": "body.cost",
            "confidence": "body.score",
            "outcomes": [{"status": 404, "is": "no_data"}],
            "poll": {"url": f"GET {base}/people/{{ref}}", "after": "10min", "every": "5s"},
            "check": {"url": f"GET {base}/account", "credits": "body.left"},
        },
    )


def test_list_shows_vendors_and_the_gallery(acme, make_vendor, monkeypatch, redis_client):
    make_vendor("off", enabled=False, api_key_env="VENDOR_OFF_KEY")
    pauses.pause("acme", LACKING)
    assert "acme: What the workers lack is set here, but not where" in vendor("list").text
    pauses.resume("acme", now=redis_clock.now())
    pauses.pause("acme", "Its contract is over.", "ann")
    found = vendor_json("list")
    first, second = found["vendors"]
    assert first["slug"] == first["credential"] == "acme"
    assert first["host"].startswith("127.0.0.1:")
    assert first["variables"] == [{"name": KEY, "is_set": True, "states": []}]
    assert second["state"] == "disabled; running"
    printed = vendor("list").text
    assert "  paused: Its contract is over (by ann, since" in printed
    assert first["state"].endswith("UTC)")
    assert f"\nacme: {first['state']}\n" in printed
    assert max(map(len, printed.split("\n\n")[0].split("\n"))) < 130
    assert f"{KEY} (set here)" in printed
    assert "VENDOR_OFF_KEY (not set here)" in printed
    assert "People Data Labs: the profile of a person." in printed
    assert {"pdl", "hunter"} <= {entry["name"] for entry in found["gallery"]}


def test_list_shows_keys_that_are_paused_or_retired(acme, redis_client):
    pool = {"query": "sid", "keys_env": [KEY, "VENDOR_OTHER"], "retired_env": ["VENDOR_OLD"]}
    Credential.objects.update(definition=pool)
    pauses.keys.pause("acme", KEY, pauses.UNPAID)
    printed = vendor("list").text
    assert "running, 1 of 2 keys paused" in printed
    assert f"{KEY} (set here, paused), VENDOR_OTHER (not set here)" in printed
    assert "VENDOR_OLD (not set here, retired)" in printed


def test_a_dry_run_prints_the_definition(tmp_path):
    made = vendor("add", "hunter", "--as", "finder", "--dry-run")
    assert "Vendor finder_verifier: would be added." in made.said
    file = tmp_path / "finder.toml"
    file.write_text(made.text)
    assert not Vendor.objects.exists()
    call_command("load_vendors", str(file), stdout=StringIO())
    loaded = {each.slug: each.definition for each in Vendor.objects.all()}
    Vendor.objects.all().delete()
    vendor("add", "hunter", "--as", "finder")
    assert {each.slug: each.definition for each in Vendor.objects.all()} == loaded


def test_add_writes_the_vendor_and_says_what_to_do_next(redis_client, monkeypatch):
    assert vendor_json("add", "pdl", "--dry-run")["vendors"] == ["pdl"]
    assert not Vendor.objects.exists()
    monkeypatch.setenv("ENRICHLABS_MANAGE", "script/manage")
    printed = vendor("add", "pdl").text
    assert "Vendor pdl: added.\nCredential pdl: added.\nLimit pdl: added.\n" in printed
    assert "1. Set VENDOR_PDL_KEY (the API key) for the workers: in .env" in printed
    assert "2. Prove the credential, by a free call: script/manage vendor check pdl\n" in printed
    assert """vendor try pdl --input '{"email": "..."}'""" in printed
    assert Vendor.objects.get().definition["credential"] == Credential.objects.get().slug == "pdl"
    found = vendor_json("list")
    [added] = [each for each in found["gallery"] if each["name"] == "pdl"]
    assert added["added_as"] == found["vendors"][0]["limits"] == ["pdl"]
    definition = {"windows": "1000/min", "per": "credential"}
    assert found["limits"] == [{"slug": "pdl", "definition": definition, "vendors": ["pdl"]}]
    assert "pdl    1000/min  -          -      credential  pdl\n" in vendor("list").text
    assert "Limit pdl exists, and is used as it is." in vendor("add", "pdl", "--as", "pdl_2").text


def test_add_overwrites_nothing(redis_client):
    Credential.objects.create(slug="hunter", definition={"query": "k", "keys_env": [KEY]})
    printed = vendor("add", "hunter").text
    assert printed.count("manage.py vendor check") == 1  # of the credential that both use
    Vendor.objects.filter(slug="hunter").update(rate_limits="1/s")
    assert "vendor add hunter --as SLUG" in refusal("add", "hunter")
    added = vendor_json("add", "hunter", "--as", "finder")
    assert added["vendors"] == ["finder", "finder_verifier"]
    assert added["existing_credentials"] == ["hunter"]
    assert added["variables"] == [{"name": KEY, "is_set": False}]
    Vendor.objects.filter(slug="hunter_verifier").delete()
    assert "Vendor hunter exists, and is left as it is." in vendor("add", "hunter").text
    assert Vendor.objects.get(slug="hunter").rate_limits == "1/s"
    assert Credential.objects.get().definition["query"] == "k"
    assert Vendor.objects.count() == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "PDL"), "The gallery has no 'PDL'. Did you mean pdl?"),
        (("add", "fulenrich"), "Did you mean fullenrich?"),
        (("add", "people data"), "Did you mean pdl?"),
        (("add", "../secrets"), "The gallery has no '../secrets'. It has: "),
        (("add", "pdl", "--as", "P D L"), 'vendors."P D L": Use only lower-case'),
        (("check", "nobody"), "There is no vendor 'nobody'."),
        (("try", "acme"), """Say what to send: --input '{"email": "..."}'"""),
        (("try", "acme", "--input", "{}"), "--input: email: This vendor requires this field."),
        (("try", "acme", "--input", "{}", "--poll"), "what the vendor calls the work: --poll"),
        (("try", "sync", "--poll", "r"), "Vendor sync is not polled"),
        (("check", "sync"), """Make one call instead, which may cost: manage.py vendor try sync"""),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_explained(acme, make_vendor, arguments, sentence):
    make_vendor("sync")
    assert sentence in refusal(*arguments)
    assert not Attempt.objects.exists()


def test_try_shows_request_rule_and_outcome_without_secrets(acme, vendor_server, redis_client):
    echo = "k3y/+ secret or k3y%2F%2B%20secret"
    vendor_server.answer = lambda _: Answer(404, {"cost": 0.5, "score": 2, "echo": echo})
    made = vendor("try", "acme", "--input", '{"email": "a@b.c"}')
    assert made.status == 0
    assert f"POST {vendor_server.url.rstrip('/')}/people?sid=***" in made.text
    assert '"mail": "a@b.c"' in made.text
    assert '"echo": "*** or ***"' in made.text
    assert "k3y" not in made.text
    outcome = made.text.split("Outcome after")[1]
    assert "\n  no_data\n  rule: " in outcome
    assert "404" in outcome
    assert "\n  cost: 0.5\n  confidence: 2\n" in outcome
    row = Attempt.objects.get()
    assert (row.kind, row.outcome, row.cost, row.confidence) == (Kind.TRY, "no_data", 0.5, 2)
    assert "k3y" in vendor_server.arrivals[0].path
    assert not Job.objects.exists()


def test_a_pending_call_can_be_polled_by_hand(acme, vendor_server, redis_client, monkeypatch):
    vendor_server.answer = lambda _: Answer(200, {"id": "r/1"})
    made = vendor("try", "acme", "--input", '{"email": "a@b.c"}')
    assert "pending" in made.text
    assert "reference: r/1\n  A job would be polled after 600 s." in made.text
    # Jobs that wait for the vendor hold all slots, which keeps nobody from asking.
    redis_client.zadd(Keys("acme").in_flight, {"a-job": 1})
    monkeypatch.setattr(trial, "TIMEOUT_SECONDS", 0.3)
    vendor_server.answer = lambda _: Answer(200, {"person": {"name": "John"}, "cost": 1})
    found = vendor_json("try", "acme", "--poll", "r/1")
    assert (found["outcome"], found["result"], found["cost"]) == ("found", {"name": "John"}, 1)
    assert found["exchanges"][0]["url"].endswith("/people/r%2F1?sid=***")
    assert vendor_server.arrivals[1].path.startswith("/people/r%2F1?")
    # A callback that names the reference must find no attempt without a job.
    assert not Attempt.objects.exclude(vendor_reference="").exists()
    assert redis_client.zrange(Keys("acme").in_flight, 0, -1) == ["a-job"]
    assert redis_client.llen(Keys("acme").log) == 2


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("answer", "paused", "is_ended", "sentence"),
    [
        (Answer(200, {"left": 12}), (pauses.UNPAID, ""), True, "Credits left: 12.\n"),
        (Answer(200, {}), (pauses.DENIED, ""), True, "The credential of vendor acme works.\nThe"),
        (Answer(200, {}), (pauses.DENIED, ""), True, "another key still use that one: restart"),
        (Answer(200, {}), (LACKING, ""), False, "but not where they run: restart them"),
        (Answer(200, {"left": 0}), (pauses.UNPAID, ""), False, "No credits are left, so a pause"),
        (Answer(200, {"left": 5}), ("Ann's.", "ann"), False, "stays paused: Ann's (by ann,"),
        (Answer(401, {}), (pauses.DENIED, ""), False, "The check of vendor acme failed."),
    ],
    ids=["credits", "denied", "old-key", "lacking", "no-credits", "by-operator", "refused"],
)
def test_check_ends_the_pause_that_it_disproves(vendor_server, answer, paused, is_ended, sentence):
    pauses.pause("acme", *paused)
    vendor_server.answer = lambda _: answer
    made = vendor("check", "acme")
    assert sentence in made.text
    assert made.status == (answer.status == 401 or answer == Answer(200, {"left": 0}))
    assert vendor_server.arrivals[0].path.startswith("/account?sid=")
    assert catalogue.get("acme").is_paused(timezone.now()) == (not is_ended)
    row = Attempt.objects.get()
    assert (row.kind, row.job) == (Kind.CHECK, "")
    assert commands().llen(Keys("acme").log) == 1
    assert commands().zcard(Keys("acme").in_flight) == 0


def test_check_names_a_vendor_that_can_be_checked_with_the_same_credential(acme, make_vendor):
    url = "GET https://acme.test/{input.id}"
    make_vendor("other", adapter="http", url=url, definition={"credential": "acme"})
    said = refusal("check", "other")
    end = "Vendor acme has one, and the same credential: manage.py vendor check acme"
    assert said.endswith(end)


def test_check_proves_each_key_of_a_pool(acme, vendor_server, monkeypatch):
    names = [KEY, "VENDOR_ACME_KEY_2", "VENDOR_ACME_KEY_3"]
    monkeypatch.setenv(names[1], "an0ther")
    Credential.objects.update(definition={"query": "sid", "keys_env": names})
    for name in names[:2]:
        pauses.keys.pause("acme", name, pauses.DENIED)
    vendor_server.answer = lambda it: Answer(200 if it.path.endswith("an0ther") else 401, {})
    made = vendor("check", "acme")
    assert made.status == 1
    first, second, third = made.text.split("\nKey ")
    assert "The check of vendor acme failed." in first
    assert "The credential of vendor acme works.\nThe key was paused automatically." in second
    assert third == f"{names[2]}\nNot checked from here: The variable {names[2]} is not set.\n\n"
    now = redis_clock.now()
    pool = catalogue.get("acme").credential.pool(now)
    assert [key.calls for key in pool] == [False, True, False]
    found = vendor_json("check", "acme")
    outcomes = [each["outcome"] for each in found["keys"]]
    assert outcomes == ["auth", "found", "api_key_missing"]
    assert vendor_json("check", "acme", "--key", names[1])["outcome"] == "found"
    assert "It has VENDOR_ACME_KEY, VENDOR_ACME_KEY_2" in refusal("check", "acme", "--key", "X")
    assert {*Attempt.objects.values_list("credential", flat=True)} == {*names[:2]}
