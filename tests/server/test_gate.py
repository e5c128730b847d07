"""So many at a time, and nobody is forgotten."""

from server.gate import Gate


class Walker:
    """Notes when it is called; passes at once, or stands."""

    def __init__(self, gate: Gate, name: int, notes: list[str], *, stands: bool = True) -> None:
        self.gate, self.name, self.notes, self.stands = gate, name, notes, stands

    def pass_gate(self) -> None:
        self.notes.append(f"in {self.name}")
        if not self.stands:
            self.gate.passed(self)

    def leave_gate(self) -> None:
        self.notes.append(f"away {self.name}")


def _crowd(gate: Gate, count: int, notes: list[str], *, stands: bool = True) -> list[Walker]:
    walkers = [Walker(gate, name, notes, stands=stands) for name in range(count)]
    for walker in walkers:
        gate.come(walker)
    return walkers


def test_so_many_are_under_way_and_the_next_comes_when_one_is_through() -> None:
    gate, notes = Gate(2), list[str]()
    walkers = _crowd(gate, 4, notes)
    assert notes == ["in 0", "in 1"]
    gate.passed(walkers[1])
    gate.passed(walkers[1])  # once counts
    assert notes == ["in 0", "in 1", "in 2"]
    gate.passed(walkers[3])  # who waits cannot be through
    assert len(notes) == 3
    gate.passed(walkers[0])
    assert notes[3:] == ["in 3"]


def test_thousands_who_are_through_at_once_do_not_pile_up() -> None:
    gate, notes = Gate(1), list[str]()
    first = Walker(gate, -1, notes)
    gate.come(first)
    _crowd(gate, 5000, notes, stands=False)
    assert notes == ["in -1"]
    gate.passed(first)
    assert notes[1:] == [f"in {name}" for name in range(5000)]


def test_who_waits_can_be_sent_another_way_and_the_gate_goes_on() -> None:
    gate, notes = Gate(1), list[str]()
    walkers = _crowd(gate, 3, notes)
    gate.disperse()
    assert notes == ["in 0", "away 1", "away 2"]
    gate.passed(walkers[0])
    gate.come(Walker(gate, 9, notes))
    assert notes[3:] == ["in 9"]
