import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.callbacks import tokens
from jobs.callbacks.tokens import AttemptRef

JOB = "01976f6e-0000-7000-8000-000000000001"
OTHER = "01976f6e-0000-7000-8000-000000000002"


def test_a_token_names_its_attempt():
    token = tokens.make("acme", JOB, 2, 7)
    assert tokens.read(token, "acme", JOB) == AttemptRef(run=2, attempt=7)


def test_a_token_of_another_job_is_rejected():
    assert tokens.read(tokens.make("acme", OTHER, 1, 1), "acme", JOB) is None


def test_a_token_of_another_vendor_is_rejected():
    assert tokens.read(tokens.make("other", JOB, 1, 1), "acme", JOB) is None


def test_a_token_with_another_run_or_attempt_is_rejected():
    signature = tokens.make("acme", JOB, 1, 12).split(".")[2]
    assert tokens.read(f"1.13.{signature}", "acme", JOB) is None
    assert tokens.read(f"2.12.{signature}", "acme", JOB) is None
    assert tokens.read(f"11.2.{signature}", "acme", JOB) is None


@pytest.mark.parametrize("digits", ["\uff11", "\u0661", "\U0001d7cf"])
def test_only_ascii_digits_are_accepted(digits):
    signature = tokens.make("acme", JOB, 1, 1).split(".")[2]
    assert tokens.read(f"1.1.{signature}", "acme", JOB)
    assert tokens.read(f"{digits}.1.{signature}", "acme", JOB) is None
    assert tokens.read(f"1.{digits}.{signature}", "acme", JOB) is None


def test_a_token_stays_valid_while_its_secret_is_rotated(settings):
    settings.CALLBACK_SECRETS = ["old"]
    token = tokens.make("acme", JOB, 1, 1)
    settings.CALLBACK_SECRETS = ["new", "old"]
    assert tokens.read(token, "acme", JOB) == AttemptRef(1, 1)
    assert tokens.make("acme", JOB, 1, 1) != token


def test_a_token_is_invalid_once_its_secret_is_removed(settings):
    settings.CALLBACK_SECRETS = ["old"]
    token = tokens.make("acme", JOB, 1, 1)
    settings.CALLBACK_SECRETS = ["new"]
    assert tokens.read(token, "acme", JOB) is None


@given(st.text())
def test_any_other_text_is_rejected_without_an_error(text):
    assert tokens.read(text, "acme", JOB) is None


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_a_guessed_signature_is_rejected(guess):
    assert tokens.read(f"1.1.{guess}", "acme", JOB) is None


def test_the_callback_url_names_vendor_and_job_and_has_the_token(settings):
    settings.PUBLIC_URL = "https://gateway.example"
    token = tokens.make("acme", JOB, 1, 3)
    url = f"https://gateway.example/vendor-webhook/acme/{JOB}?token={token}"
    assert tokens.callback_url("acme", JOB, 1, 3) == url


def test_a_token_with_digits_of_another_script_is_rejected():
    run, attempt, signature = tokens.make("acme", JOB, 1, 2).split(".")
    assert tokens.read(f"١.{attempt}.{signature}", "acme", JOB) is None
    assert tokens.read(f"{run}.２.{signature}", "acme", JOB) is None
