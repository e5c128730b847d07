"""What is due, once each, at a cost of what is due."""

from delivery.timetable import Timetable


class Clock:
    def __init__(self) -> None:
        self.now = 100.4

    def __call__(self) -> float:
        return self.now


def test_each_is_given_out_once_when_it_is_due() -> None:
    clock = Clock()
    table = Timetable[str](clock)
    table.put("a", 2)
    table.put("b", 1)
    table.put("c", 0)
    assert list(table.take_due(10)) == ["c"]
    clock.now = 101.5
    assert list(table.take_due(10)) == ["b"]
    assert list(table.take_due(10)) == []
    clock.now = 200
    assert list(table.take_due(10)) == ["a"]
    assert list(table.take_due(10)) == []
    assert (len(table), table._due) == (0, {})


def test_it_is_put_off_brought_forward_and_dropped() -> None:
    clock = Clock()
    table = Timetable[str](clock)
    for each in ("off", "forward", "gone"):
        table.put(each, 5)
    table.put("off", 9)
    table.put("forward", 1)
    table.drop("gone")
    table.drop("never there")
    clock.now = 106
    assert list(table.take_due(10)) == ["forward"]
    clock.now = 110
    assert list(table.take_due(10)) == ["off"]


def test_no_more_than_so_many_at_once_and_the_rest_at_the_next_look() -> None:
    clock = Clock()
    table = Timetable[int](clock)
    for each in range(5):
        table.put(each, each % 2 + 1)
    clock.now = 110
    assert [list(table.take_due(2)) for _ in range(4)] == [[0, 2], [4, 1], [3], []]


def test_what_is_put_back_while_it_is_given_out_does_not_come_again_at_once() -> None:
    clock = Clock()
    table = Timetable[str](clock)
    table.put("a", 0)
    taken = []
    for each in table.take_due(10):
        taken.append(each)
        table.put(each, 0.1)
    assert taken == ["a"]
    clock.now += 1
    assert list(table.take_due(10)) == ["a"]
