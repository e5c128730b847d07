"""What is said to a person."""

from datetime import datetime, timedelta

import pytest
from whatsapp_mini.events import ConnectionState
from whatsapp_mini.terminal import usage, words
from whatsapp_mini.terminal.connection import banner

NOW = datetime(2026, 11, 26, 12, 0).astimezone()


def ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def before(**how: int) -> int:
    return ms(NOW - timedelta(**how))


@pytest.mark.parametrize(
    ("when", "day", "short"),
    [
        (before(hours=2), "Today", "10:00"),
        (before(hours=13), "Yesterday", "Wed"),
        (before(days=3), "Monday 23 November", "Mon"),
        (before(days=30), "Tuesday 27 October", "27 Oct"),
        (ms(datetime(2025, 1, 2, 3, 4).astimezone()), "Thursday 2 January 2025", "02.01.25"),
    ],
)
def test_a_time_is_said_as_briefly_as_it_can_be(when: int, day: str, short: str) -> None:
    assert (words.day(when, NOW), words.short(when, NOW)) == (day, short)
    assert len(words.short(when, NOW)) <= 8


@pytest.mark.parametrize(
    ("online", "last_seen", "said"),
    [
        (None, None, ""),
        (True, None, "● online"),
        (False, None, "last seen not shown"),
        (False, before(hours=2), "last seen 10:00"),
        (False, before(hours=14), "last seen yesterday, 22:00"),
        (False, before(days=30), "last seen 27 Oct, 12:00"),
    ],
)
def test_presence(online: bool | None, last_seen: int | None, said: str) -> None:
    assert words.presence(online, last_seen, NOW) == said


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("+91 98000-00001", "919800000001"),
        ("(91) 98000.00001", "919800000001"),
        ("0151 1234567", "01511234567"),
        ("Asha", ""),
        ("12", ""),
        ("٣٤٥٦٧٨٩٠١٢", ""),
    ],
)
def test_a_number_is_read_as_people_write_it(typed: str, digits: str) -> None:
    assert usage.number(typed) == digits


def test_a_number_is_shown_in_groups() -> None:
    assert words.spaced("919800000001") == "+9198 0000 0001"


def test_a_text_can_do_nothing_to_the_terminal() -> None:
    assert words.printable("a\x1b[2Jb\x07c\u202ed\r\ne\tf") == "a\ufffd[2Jb\ufffdc\ufffdd\ne\tf"
    assert words.one_line(" a\n\n b\t") == "a b"


def test_a_refusal_is_one_sentence_with_an_end() -> None:
    assert words.refusal("unreachable", "x") == "The server does not answer."
    assert words.refusal("mailbox_full", "Too much is waiting") == "Too much is waiting."
    assert words.refusal("new_code") == "The server refused it (new_code)."
    assert words.refusal("x\x9b", "\x1b[31mNo\n") == "\ufffd[31mNo.", "a server's words do nothing to the terminal"
    assert words.refusal("x\x9b") == "The server refused it (x\ufffd)."


def test_an_excerpt_shows_what_was_searched() -> None:
    text = "word " * 40 + "needle" + " word" * 40
    assert "needle" in words.excerpt(text, "NEEDLE")
    assert len(words.excerpt(text, "needle")) < 100
    assert words.excerpt("short needle", "needle") == "short needle"


@pytest.mark.parametrize("name", ["off", "connecting", "online", "loggedOut"])
def test_no_banner_while_there_is_nothing_to_do(name: str) -> None:
    assert banner(ConnectionState(name), "http://x", was_online=True, now=0) == ""  # type: ignore[arg-type]


def test_the_banner_counts_the_seconds() -> None:
    state = ConnectionState("pausing", until=103.2)
    assert "in 4 s" in banner(state, "http://x", was_online=True, now=100)
    assert "in 1 s" in banner(state, "http://x", was_online=True, now=103.1)
    assert banner(state, "http://x", was_online=False, now=100).startswith("No connection to http://x.")
    assert len(banner(state, "", was_online=True, now=100)) <= 78


def test_the_banner_says_why_it_stopped() -> None:
    assert "open elsewhere" in banner(ConnectionState("stopped", code=4508), "", was_online=True, now=0)
    assert "too many bad frames (4503)" in banner(
        ConnectionState("stopped", code=4503, reason="too many bad frames"), "", was_online=True, now=0
    )
    assert "\x1b" not in banner(ConnectionState("stopped", code=4503, reason="\x1b[2J"), "", was_online=True, now=0)
