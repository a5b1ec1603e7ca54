"""The form of an API key."""

import re
import time

import pytest

from clients import keys
from clients.keys import ALPHABET, digest, is_well_formed, masked, named, new_key, public_part

CHECKED = "elk_AbCd1234" + "x" * 32


def test_a_key_has_a_prefix_and_46_characters_of_base62():
    made = {new_key() for _ in range(200)}
    assert len(made) == 200
    for key in made:
        assert re.fullmatch(r"elk_[0-9A-Za-z]{46}", key)
        assert is_well_formed(key)
    assert {character for key in made for character in key[4:44]} == set(ALPHABET)


def test_the_checksum_is_a_crc_32_in_base62():
    assert keys._checksum(CHECKED) == "08V4qO"
    assert is_well_formed(CHECKED + "08V4qO")
    assert keys._checksum("") == "000000"


def test_one_wrong_character_anywhere_is_noticed():
    key = new_key()
    for place in range(4, len(key)):
        for other in ALPHABET:
            if other != key[place]:
                assert not is_well_formed(key[:place] + other + key[place + 1 :])


@pytest.mark.parametrize(
    "change",
    [
        lambda key: "",
        lambda key: key[:-1],
        lambda key: key + key[-1],
        lambda key: key + key,
        lambda key: key + "\n",
        lambda key: key + "\0",
        lambda key: key + "\xa0",
        lambda key: " " + key,
        lambda key: key.replace("elk_", "ELK_"),
        lambda key: key.replace("elk_", "elk-"),
        lambda key: key[:-1] + "\uff11",  # a full-width digit
        lambda key: key[:4] + "\u0660" + key[5:],  # an Arabic digit
        lambda key: key * 200,
    ],
)
def test_text_of_another_form_is_no_key(change):
    assert not is_well_formed(change(new_key()))


def test_a_key_is_named_by_its_public_part():
    key = new_key()
    public = public_part(key)
    assert key.startswith(f"elk_{public}")
    assert {named(text) for text in (public, f"elk_{public}", key, f" {key}\n")} == {public}
    for text in ("", "elk_", public[:-1], f"{public}x", key[:-1], f"{key[:-1]}-", "elk_AbCd123ä"):
        assert named(text) == ""


def test_keys_in_a_text_are_masked():
    key, other = new_key(), new_key()
    text = f"GET /{key}?a={key[:20]} elk_{key[4:12]} {other}, elk_"
    shown = f"GET /{key[:12]}...?a={key[:12]}... {key[:12]} {other[:12]}..., elk_"
    assert masked(text) == shown
    assert masked(shown) == shown
    assert masked(f"'{key}'\n") == f"'{key[:12]}...'\n"


def test_a_digest_is_fast_and_tells_nothing():
    key = new_key()
    assert re.fullmatch("[0-9a-f]{64}", digest(key))
    assert digest(key) == digest(key) != digest(new_key())
    started_at = time.perf_counter()
    for _ in range(10_000):
        is_well_formed(key), digest(key)
    assert (time.perf_counter() - started_at) / 10_000 < 0.0001
