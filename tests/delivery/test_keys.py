"""Every key of a person is in his slot, and no two are the same."""

import inspect

from delivery import keys
from delivery.keys import Person

PERSON = Person("9100000001")


def spelled() -> list[str]:
    """Every key a person has."""
    names = [name for name, value in inspect.getmembers(Person) if isinstance(value, property)]
    return [getattr(PERSON, name) for name in names]


def test_every_key_carries_the_number_as_its_hash_tag() -> None:
    assert len(spelled()) == 12
    assert all(key.count("{") == 1 and "{9100000001}" in key for key in spelled())
    assert len(set(spelled())) == len(spelled())


def test_everything_is_everything() -> None:
    assert sorted(PERSON.everything()) == sorted(spelled())


def test_the_seeds_own_name_for_the_block_set_is_kept() -> None:
    assert PERSON.blocks == "blockedUser:{9100000001}"


def test_no_keys_of_two_people_meet() -> None:
    other = Person("91000000012")
    assert not set(PERSON.everything()) & set(other.everything())


def test_what_a_script_takes_is_spelled_once() -> None:
    assert PERSON.sending is PERSON.sending
    for names in (PERSON.removal, PERSON.settling, PERSON.collecting, PERSON.sending, PERSON.telling, PERSON.answering):
        assert set(names) <= set(spelled())
        assert len(set(names)) == len(names)


def test_keys_of_servers_stand_alone() -> None:
    assert [keys.server("s1"), keys.people("s1"), keys.bell("s1")] == ["server:s1", "people:s1", "bell:s1"]
