import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.callbacks import tokens
from jobs.callbacks.tokens import Try

JOB = "01976f6e-0000-7000-8000-000000000001"
OTHER = "01976f6e-0000-7000-8000-000000000002"


def test_a_token_names_the_try_that_it_was_made_for():
    assert tokens.read(tokens.make("acme", JOB, 2, 7), "acme", JOB) == Try(run=2, attempt=7)


def test_a_token_of_another_job_is_refused():
    assert tokens.read(tokens.make("acme", OTHER, 1, 1), "acme", JOB) is None


def test_a_token_of_another_vendor_is_refused():
    assert tokens.read(tokens.make("other", JOB, 1, 1), "acme", JOB) is None


def test_run_and_attempt_can_not_be_changed_in_a_token():
    signature = tokens.make("acme", JOB, 1, 12).split(".")[2]
    assert tokens.read(f"1.13.{signature}", "acme", JOB) is None
    assert tokens.read(f"2.12.{signature}", "acme", JOB) is None
    assert tokens.read(f"11.2.{signature}", "acme", JOB) is None


@pytest.mark.parametrize("digits", ["\uff11", "\u0661", "\U0001d7cf"])
def test_no_digits_but_those_of_ascii_are_taken(digits):
    signature = tokens.make("acme", JOB, 1, 1).split(".")[2]
    assert tokens.read(f"1.1.{signature}", "acme", JOB)
    assert tokens.read(f"{digits}.1.{signature}", "acme", JOB) is None
    assert tokens.read(f"1.{digits}.{signature}", "acme", JOB) is None


def test_a_token_outlives_the_rotation_of_its_secret(settings):
    settings.CALLBACK_SECRETS = ["old"]
    token = tokens.make("acme", JOB, 1, 1)
    settings.CALLBACK_SECRETS = ["new", "old"]
    assert tokens.read(token, "acme", JOB) == Try(1, 1)
    assert tokens.make("acme", JOB, 1, 1) != token


def test_a_token_ends_with_its_secret(settings):
    settings.CALLBACK_SECRETS = ["old"]
    token = tokens.make("acme", JOB, 1, 1)
    settings.CALLBACK_SECRETS = ["new"]
    assert tokens.read(token, "acme", JOB) is None


@given(st.text())
def test_no_text_is_taken_for_a_token_and_none_breaks_the_reading(text):
    assert tokens.read(text, "acme", JOB) is None


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_no_guessed_signature_is_taken(guess):
    assert tokens.read(f"1.1.{guess}", "acme", JOB) is None


def test_the_callback_url_names_vendor_and_job_and_carries_the_token(settings):
    settings.PUBLIC_URL = "https://gateway.example"
    token = tokens.make("acme", JOB, 1, 3)
    assert (
        tokens.callback_url("acme", JOB, 1, 3)
        == f"https://gateway.example/vendor-webhook/acme/{JOB}?token={token}"
    )


def test_digits_of_other_scripts_make_another_token():
    run, attempt, signature = tokens.make("acme", JOB, 1, 2).split(".")
    assert tokens.read(f"١.{attempt}.{signature}", "acme", JOB) is None
    assert tokens.read(f"{run}.２.{signature}", "acme", JOB) is None
