"""Privacy in Redis: four characters, and none for who hides nothing."""

import itertools

import pytest

from protocol.privacy import OPEN, Privacy, decode_privacy

AUDIENCES = ("everyone", "contacts", "nobody")
SWITCHES = (True, False)
ALL = [Privacy(*each) for each in itertools.product(AUDIENCES, AUDIENCES, SWITCHES, SWITCHES)]


def test_every_privacy_is_read_as_it_was_written() -> None:
    assert [decode_privacy(each.encode()) for each in ALL] == ALL
    assert len({each.encode() for each in ALL}) == len(ALL)


def test_who_hides_nothing_takes_no_room() -> None:
    assert OPEN.encode() == ""
    assert decode_privacy("") == decode_privacy("ee11") == OPEN


@pytest.mark.parametrize("text", ["x", "eex1e", "xe11", "ee1", "ee111"])
def test_what_it_did_not_write_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        decode_privacy(text)
