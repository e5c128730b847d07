"""Counts what visitors sent and what they got, and checks it against what the server may answer."""

import json
import re
from collections import Counter
from typing import Any, Final

from protocol.errors import ERRORS
from tools.chaos.fuzz.mutations import CANARY

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n(.*?)(?=HTTP/1\.[01] \d{3}|\Z)", re.DOTALL)
_CODE: Final = re.compile(rb'"code": ?"(\w+)"')
ALLOWED: Final = frozenset((1000, 1002, 1003, 1007, 1008, 1009, 1001, *range(4000, 5000)))
"""Close codes that the server may send."""

NAMES: Final = ("messageId", "messageIds", "to", "streamIds")
"""The fields that a refusal repeats, to name the frame."""


class Tally:
    """The counts of a run. ``wrong`` counts what must not happen, by a sentence about it."""

    def __init__(self) -> None:
        self.sent = Counter[str]()
        self.refused = Counter[str]()
        self.statuses = Counter[int]()
        self.closed = Counter[int]()
        self.wrong = Counter[str]()

    def http(self, answer: bytes) -> None:
        """The bytes that arrived on a connection with HTTP requests."""
        if CANARY.lower().encode() in answer.lower():
            self.wrong["an HTTP answer repeats what was sent"] += 1
        for found in _STATUS.finditer(answer):
            status, code = int(found[1]), _CODE.search(found[2])
            self.statuses[status] += 1
            name = code[1].decode() if code else ""
            if status == 100 or status < 400:
                continue
            self.refused[name] += 1
            if name not in ERRORS or ERRORS[name].status != status or status == 500:
                self.wrong[f"HTTP {status} with the code {name!r}"] += 1

    def message(self, payload: bytes) -> None:
        """A message of the server."""
        found = json.loads(payload)
        for frame in found if isinstance(found, list) else [found]:
            if frame["type"] == "error":
                self._refusal(frame)
            elif "sent" in (frame["type"], frame.get("status")):
                self.sent["of these, chats that were taken"] += 1

    def close(self, payload: bytes) -> None:
        """A close frame of the server."""
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        self.closed[code] += 1
        if CANARY.encode() in payload:
            self.wrong["a close reason repeats what was sent"] += 1
        if code not in ALLOWED and code != 1005:
            self.wrong[f"closed with {code}"] += 1

    def _refusal(self, frame: dict[str, Any]) -> None:
        code = frame["code"]
        self.refused[code] += 1
        rest = {name: value for name, value in frame.items() if name not in NAMES}
        if CANARY in json.dumps(rest):
            self.wrong[f"the refusal {code} repeats what was sent"] += 1
        if code not in ERRORS or code == "internal":
            self.wrong[f"refused with {code!r}"] += 1

    def figures(self) -> dict[str, dict[str, int]]:
        """For JSON."""
        return {
            "sent": dict(self.sent),
            "refused": dict(self.refused.most_common()),
            "http": {str(status): count for status, count in sorted(self.statuses.items())},
            "closed": {str(code): count for code, count in sorted(self.closed.items())},
            "wrong": dict(self.wrong),
        }
