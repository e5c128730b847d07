"""Every key of a person is in their slot, and no two are the same."""

import inspect
import re

from delivery import keys
from delivery.keys import EVERYTHING, OUTLIVES_A_PERSON, Person
from delivery.scripts import DELETE_PERSON, LOAD

PERSON = Person("9100000001")


def spelled() -> list[str]:
    """Every key a person has."""
    names = [name for name, value in inspect.getmembers(Person) if isinstance(value, property)]
    return [getattr(PERSON, name) for name in names]


def test_every_key_carries_the_number_as_its_hash_tag() -> None:
    assert len(spelled()) == 16
    assert all(key.count("{") == 1 and "{9100000001}" in key for key in spelled())
    assert len(set(spelled())) == len(spelled())


def test_every_key_goes_with_its_person_in_both_scripts_but_the_note_that_they_left() -> None:
    names = {name for name, value in inspect.getmembers(Person) if isinstance(value, property)}
    assert {"left_by", "watchers"} == OUTLIVES_A_PERSON
    assert set(EVERYTHING) == names - OUTLIVES_A_PERSON
    for script in (LOAD, DELETE_PERSON):
        listed = re.search(r"^local EVERYTHING = {(.*)}$", script.text, re.MULTILINE)
        assert listed is not None
        assert listed[1].split(", ") == list(EVERYTHING)
        assert set(EVERYTHING) <= set(script.keys), "a name that is not bound would end the list"


def test_the_seeds_own_name_for_the_block_set_is_kept() -> None:
    assert PERSON.blocks == "blockedUser:{9100000001}"


def test_no_keys_of_two_people_meet() -> None:
    other = Person("91000000012")
    assert not set(PERSON.of(LOAD)) & set(other.of(LOAD))


def test_keys_of_servers_stand_alone() -> None:
    assert [keys.server("s1"), keys.people("s1"), keys.channel("s1")] == ["server:s1", "people:s1", "notify:s1"]
