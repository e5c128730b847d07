"""Every key of a person is in his slot, and no two are the same."""

import inspect
import time

import pytest

from delivery import keys
from delivery.keys import Person

DAY = 86_400
PERSON = Person("9100000001", DAY, 20_000)


def spelled() -> list[str]:
    """Every key a person has: the properties that are strings, and the buckets."""
    names = [name for name, value in inspect.getmembers(Person) if isinstance(value, property)]
    return [getattr(PERSON, name) for name in names if name != "bucket_seconds"] + PERSON.buckets()


def test_every_key_carries_the_number_as_its_hash_tag() -> None:
    assert len(spelled()) == 12
    assert all(key.count("{") == 1 and "{9100000001}" in key for key in spelled())
    assert len(set(spelled())) == len(spelled())


def test_everything_is_everything() -> None:
    assert sorted(PERSON.everything()) == sorted(spelled())


def test_the_seeds_own_name_for_the_block_set_is_kept() -> None:
    assert PERSON.blocks == "blockedUser:{9100000001}"


def test_no_keys_of_two_people_meet() -> None:
    other = Person("91000000012", DAY, 20_000)
    assert not set(PERSON.everything()) & set(other.everything())


def test_buckets_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 20_000.0 * DAY + DAY - 1)
    today = Person.of("9100000001", DAY)
    assert today == PERSON
    monkeypatch.setattr(time, "time", lambda: 20_001.0 * DAY)
    tomorrow = Person.of("9100000001", DAY)
    assert tomorrow.buckets()[:2] == today.buckets()[1:]
    assert tomorrow.bucket(-1) == today.bucket()


def test_a_bucket_outlives_every_retry_it_must_recognise() -> None:
    # Begun by a clock that is a day ahead, with an entry that leaves at that day's end.
    assert PERSON.bucket_seconds >= DAY + DAY + PERSON.dedupe_seconds


def test_keys_of_servers_stand_alone() -> None:
    assert [keys.server("s1"), keys.people("s1"), keys.bell("s1")] == ["server:s1", "people:s1", "bell:s1"]
