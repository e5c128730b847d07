"""A history holds the recorded events in order, and each is in the file at once."""

from pathlib import Path

import msgspec
import pytest

from tools.chaos.history import KINDS, Event, History, digest, read


def test_an_event_is_in_the_file_at_once_with_number_and_time(tmp_path: Path) -> None:
    with History(tmp_path / "made" / "history.jsonl") as history:
        history.record("fault start", fault="redis")
        history.record("drained", ok=True, waiting=0)
        first, second = read(history.path)
    assert (first.n, first.kind, first.fault) == (1, "fault start", "redis")
    assert (second.n, second.kind, second.ok) == (2, "drained", True)
    assert 0 < first.t <= second.t


def test_a_kind_of_the_table_needs_its_fields_and_may_have_more(tmp_path: Path) -> None:
    with History(tmp_path / "history.jsonl") as history:
        with pytest.raises(ValueError, match=r"resync: connection, epoch missing"):
            history.record("resync", mobile="a")
        history.record("resync", mobile="a", connection=1, epoch="e", weather="fine")
        history.record("a kind of one's own", anything=1)
        assert [event.kind for event in read(history.path)] == ["resync", "a kind of one's own"]


def test_a_torn_line_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"n":1,"t":0.5,"kind":"drai')
    with pytest.raises(msgspec.DecodeError):
        read(path)


def test_every_field_of_the_table_is_one_of_the_event() -> None:
    known = {field.name for field in msgspec.structs.fields(Event)}
    assert not set().union(*KINDS.values()) - known


def test_a_digest_tells_texts_apart_and_does_not_hold_them() -> None:
    assert digest("hello") == digest("hello") != digest("hellO")
    assert len(digest("a" * 1000)) == 12
