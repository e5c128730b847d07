"""Every key of a person is in their slot, and no two are the same."""

import inspect

from delivery import keys
from delivery.keys import Person
from delivery.scripts import LOAD

PERSON = Person("9100000001")


def spelled() -> list[str]:
    """Every key a person has."""
    names = [name for name, value in inspect.getmembers(Person) if isinstance(value, property)]
    return [getattr(PERSON, name) for name in names]


def test_every_key_carries_the_number_as_its_hash_tag() -> None:
    assert len(spelled()) == 13
    assert all(key.count("{") == 1 and "{9100000001}" in key for key in spelled())
    assert len(set(spelled())) == len(spelled())


def test_the_seeds_own_name_for_the_block_set_is_kept() -> None:
    assert PERSON.blocks == "blockedUser:{9100000001}"


def test_no_keys_of_two_people_meet() -> None:
    other = Person("91000000012")
    assert not set(PERSON.of(LOAD)) & set(other.of(LOAD))


def test_keys_of_servers_stand_alone() -> None:
    assert [keys.server("s1"), keys.people("s1"), keys.channel("s1")] == ["server:s1", "people:s1", "notify:s1"]
