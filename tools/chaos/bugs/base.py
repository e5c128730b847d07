"""A bug on purpose: what it breaks, how it is put into the product, and which check must find it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

SEED: Final = 1


def replace(owner: object, name: str, value: object) -> None:
    """Put ``value`` in the place of an attribute of a class or a module.

    :raises AttributeError: it has none of this name
    """
    getattr(owner, name)
    setattr(owner, name, value)


@dataclass(frozen=True)
class Scene:
    """A short scenario in which one bug shows.

    :param faults: their names, as in ``run.py chaos``; without any, what must hold outside of faults is checked
    :param knobs: settings of the product, in addition to those of the campaign
    :param before: seconds of chats before the faults
    :param after: seconds of chats once all serve again
    :param drain: seconds within which everything must have arrived
    :param rate: chats a second of all ``people``
    :param often: what they do how often a second, where it differs (per fifty people; ``activities.RATES``)
    :param window: for the checker; the product gets it among the ``knobs``
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
    """One bug.

    :param what: what it breaks, in a sentence
    :param check: what must be red: an invariant (``I4``), or the first words of a complaint
    :param says: words of the violation: the check must be red for this reason
    :param patch: puts it into a process of the product
    :param quick: whether it is among the ordinary tests. Its scene must show it about ten times or more: a bug that
        shows four times on average does not show at all in one run of fifty
    """

    name: str
    what: str
    check: str
    says: str
    patch: Callable[[], None]
    scene: Scene = Scene()
    quick: bool = False

    def caught_by(self, broken: list[str]) -> str:
        """The first of these lines of a red scenario that is about this bug; "": none."""
        invariant = self.check + ": " if self.check[:1] == "I" and self.check[1:2].isdigit() else ""
        mine = [line for line in broken if line.startswith(invariant or self.check) and self.says in line]
        return mine[0].partition("\n")[0] if mine else ""
