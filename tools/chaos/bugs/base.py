"""A bug on purpose: what it breaks, how it gets into the product, and where the campaign must see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

SEED: Final = 1


def replace(owner: type, name: str, value: object) -> None:
    """Put ``value`` in the place of an attribute of a class.

    :raises AttributeError: the class has none of this name
    """
    getattr(owner, name)
    setattr(owner, name, value)


@dataclass(frozen=True)
class Scene:
    """A scenario that is short, and in which one bug shows.

    :param faults: names, as in ``run.py chaos``; none: nothing breaks, and what must hold outside of faults is checked
    :param knobs: of the product, on top of the campaign's
    :param before: seconds of talk before the faults; ``after``: since all serves again
    :param drain: seconds in which everything must have arrived
    :param rate: chats a second of all ``people``
    :param often: what they do how often a second, where it differs (per fifty people; ``activities.RATES``)
    :param window: the window that the product is given, and the checker told
    """

    faults: tuple[str, ...] = ()
    knobs: Mapping[str, str] = field(default_factory=dict)
    before: float = 3.0
    after: float = 0.0
    drain: float = 6.0
    people: int = 30
    rate: float = 90.0
    rates: Mapping[str, float] = field(default_factory=dict)
    window: int = 256
    seed: int = SEED


@dataclass(frozen=True)
class Bug:
    """One way to be wrong.

    :param what: it breaks, in a sentence
    :param check: that must be red: an invariant (``I4``), or the words of a complaint
    :param says: words of the violation: the check must be red for this reason and no other
    :param patch: puts it into the product, in each of its processes
    :param quick: whether it belongs to the ordinary tests: its scene must show it about ten times and more; what
        is shown four times on average is not shown at all in one run of fifty
    """

    name: str
    what: str
    check: str
    says: str
    patch: Callable[[], None]
    scene: Scene = Scene()
    quick: bool = False

    def caught_by(self, broken: list[str]) -> str:
        """The line of these, of a red scenario, that is about this bug; "": none is."""
        invariant = self.check + ": " if self.check[:1] == "I" and self.check[1:2].isdigit() else ""
        mine = [line for line in broken if line.startswith(invariant or self.check) and self.says in line]
        return mine[0].partition("\n")[0] if mine else ""
