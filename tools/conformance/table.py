"""The table of a run: rule × client, with the number of cases."""

from collections.abc import Sequence

from tools.conformance.case import RULES
from tools.conformance.running import Outcome

HEAD = """# Conformance of the clients

`python -m tools.conformance --table docs/conformance.md` writes this page. It tries both clients of this repository
against a scripted server of faults, with at least one case for each rule of [clients.md](clients.md).
[tools/conformance](../tools/conformance/README.md) says how it works, and how to try a client in another language.
"""


def counts(outcomes: Sequence[Outcome], rule: str, client: str) -> tuple[int, int]:
    """How many cases of this rule passed, and how many were played."""
    played = [each for each in outcomes if each.case.rule == rule and each.client == client]
    return sum(not each.why for each in played), len(played)


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The page."""
    clients = list(dict.fromkeys(each.client for each in outcomes))
    lines = [HEAD, f"| rule | cases | {' | '.join(clients)} |", f"|---|---|{'---|' * len(clients)}"]
    for rule in RULES:
        cells = [_cell(*counts(outcomes, rule, client)) for client in clients]
        lines.append(f"| {rule} | {counts(outcomes, rule, clients[0])[1]} | {' | '.join(cells)} |")
    sums = [(sum(not o.why for o in outcomes if o.client == c), sum(o.client == c for o in outcomes)) for c in clients]
    lines.append(f"| all | {sums[0][1]} | {' | '.join(_cell(*each) for each in sums)} |")
    lines += ["", "## The cases", ""]
    for rule in RULES:
        what = dict.fromkeys(each.case.what for each in outcomes if each.case.rule == rule)
        lines += [f"**{rule}**", "", *(f"- {each}" for each in what), ""]
    return "\n".join(lines).rstrip() + "\n"


def _cell(passed: int, played: int) -> str:
    return f"{passed} of {played}" if passed == played else f"**{passed} of {played}**"


def as_text(outcomes: Sequence[Outcome]) -> str:
    """The table for a terminal; rules without an outcome are left out."""
    clients = list(dict.fromkeys(each.client for each in outcomes))
    lines = ["rule   " + "".join(f"{client:>12}" for client in clients)]
    for rule in RULES:
        cells = [counts(outcomes, rule, client) for client in clients]
        if any(played for _, played in cells):
            lines.append(f"{rule:<7}" + "".join(f"{f'{passed}/{played}':>12}" for passed, played in cells))
    return "\n".join(lines)
