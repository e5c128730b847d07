"""Valid requests and frames, changed at random. The same seed makes the same changes."""

import json
import math
import random
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

CANARY: Final = "zqCanaryqz"
"""Part of every made-up text and token: no answer and no log line may contain it."""
LIMITS: Final = (0, 1, 3, 15, 64, 65, 72, 1000, 16 * 1024, 16 * 1024 + 1, 48 * 1024, 64 * 1024 + 1)
"""Lengths at which some limit is."""
NASTY: Final = (
    *("\0", "\n", "\r\n", "\x7f", "\u2028", "\u202e", "\ufeff", "\u200d", "\ud800", "\udc00\ud800", "{", "}", "*", ":"),
    *("\u0661", "\uff11", "e\u0301", "\U0001f680", "\U0010ffff", "'", '"', "\\", "%00", "%ff", "<script>", "$where"),
)
NUMBERS: Final = (0, -1, 2**31, 2**53 + 1, 2**63, 2**64, 10**400, 1e308, 1e-320, -0.0, math.nan, math.inf, -math.inf)
FIELDS: Final = (
    *("type", "to", "from", "messageId", "messageIds", "message", "ackType", "streamId", "streamIds"),
    *("timestamp", "mode", "status", "code", "__proto__", "mobileNo", "password", "deviceId", "deviceName"),
)
WORDS: Final = ("chat", "ack", "sent", "system", "error", "hello", "delivered", "read", "expired", "resync", CANARY)
HEADERS: Final = (
    *("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"),
    *("Sec-WebSocket-Extensions", "Authorization", "Content-Length", "Transfer-Encoding", "Expect", "Content-Type"),
    *("X-Forwarded-For", "X-Request-ID", "Cookie", "Range", "Accept-Encoding", "X"),
)
VALUES: Final = (
    *("", "websocket", "Upgrade", "keep-alive, Upgrade", "13", "8", "wm.v1", "wm.v9, wm.v1", "chunked", "identity"),
    *("-1", "0", "5", "99999999999999999999", "100-continue", "application/json", "bytes=0-", "permessage-deflate"),
    *("AAAAAAAAAAAAAAAAAAAAAA==", "AAAA", "!!!!", f"Bearer {CANARY}", f"Basic {CANARY}", "127.0.0.1, 10.0.0.1"),
)


class Mutator:
    """The random input of one visitor.

    :param mobiles: numbers it may write to
    """

    def __init__(self, rng: random.Random, mobiles: Sequence[str]) -> None:
        self.rng, self._mobiles = rng, mobiles
        self.foreign: Sequence[tuple[str, str]] = ()
        """Mobile numbers of other people, with entries in their mailboxes."""

    # ---- values

    def text(self) -> str:
        """A text with the canary, which may be long or strange."""
        rng = self.rng
        match rng.randrange(8):
            case 0:
                return (CANARY * (rng.choice(LIMITS) // len(CANARY) + 1))[: rng.choice(LIMITS)]
            case 1:
                return "".join(rng.choice(NASTY) for _ in range(rng.randint(1, 6))) + CANARY
            case 2:
                return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 40))) + CANARY
            case _:
                return CANARY

    def value(self, depth: int = 0) -> Any:
        """Any JSON value, and a few that JSON does not know."""
        rng = self.rng
        ways: list[Callable[[], Any]] = [
            *(self.text, self.text, self.stream_id, self.mobile),
            lambda: rng.choice(NUMBERS),
            lambda: rng.choice((None, True, False, "", [], {})),
            lambda: rng.choice(WORDS),
        ]
        if depth < 3:
            most = 1001 if depth == 0 else 3
            ways.append(lambda: [self.value(3) for _ in range(rng.choice((1, 2, most)))])
            ways.append(lambda: {rng.choice(FIELDS): self.value(depth + 1) for _ in range(rng.randint(1, 4))})
        return rng.choice(ways)()

    def mobile(self) -> str:
        """A mobile number, or nearly one."""
        whole = self.rng.choice(self._mobiles)
        return self.rng.choice((whole, whole, f"+{whole[:5]} {whole[5:]}", whole[:9], whole + "0" * 6, "{" + whole))

    def stream_id(self) -> str:
        """A streamId, perhaps of an entry of another person."""
        rng = self.rng
        if self.foreign and rng.random() < 0.5:
            return rng.choice(self.foreign)[1]
        now = int(time.time() * 1000)
        return rng.choice((f"{now}-0", f"{now}-1", "0-0", "*", ">", "$", "5", f"{2**64}-0", f"{2**64 - 1}-{2**64 - 1}"))

    # ---- frames

    def frame(self) -> dict[str, Any]:
        """A frame most of whose fields are right."""
        rng = self.rng
        other = rng.choice(self.foreign)[0] if self.foreign else self.mobile()
        ids = [f"f-{rng.randrange(1000)}" for _ in range(rng.choice((1, 1, 2, 1000, 1001)))]
        made: dict[str, Any] = rng.choice(
            (
                {"type": "chat", "to": self.mobile(), "messageId": ids[0], "message": self.text() or CANARY},
                {"type": "ack", "ackType": "delivered", "streamId": self.stream_id()},
                {"type": "ack", "ackType": "delivered", "streamIds": [self.stream_id() for _ in ids[:50]]},
                {"type": "ack", "ackType": "read", "to": other, "messageIds": ids},
            )
        )
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            name = rng.choice((*made, *FIELDS)) if made else rng.choice(FIELDS)
            match rng.randrange(5):
                case 0:
                    made.pop(name, None)
                case 1:
                    made[self.text()[:80]] = made.pop(name, None)
                case _:
                    made[name] = self.value()
        return made

    def message(self) -> bytes:
        """The payload of a WebSocket message. It never has a chat and another person's number: the checker compares
        what arrives there with what was sent there."""
        payload = self._message()
        if b"chat" in payload:
            for number, _ in self.foreign:
                payload = payload.replace(number.encode(), self._mobiles[0].encode())
        return payload

    def _message(self) -> bytes:
        rng = self.rng
        match rng.randrange(10):
            case 0:
                return self.spoil(self._write([self.frame() for _ in range(rng.choice((0, 1, 2, 40)))]))
            case 1:
                opening = rng.choice((b"[", b'{"x":', b'{"type":"chat","x":['))
                return (opening * 66_000)[: rng.choice((40, 1000, 60_000, 60_000, 66_000))]
            case 2:
                return self._write(self.value())
            case 3:
                twice = self._write(self.frame())
                return twice[:-1] + b"," + self._write(self.frame())[1:]
            case 4:
                return self.spoil(self._write(self.frame()))
            case _:
                return self._write(self.frame())

    def _write(self, value: Any) -> bytes:
        plain = self.rng.random() < 0.95
        return json.dumps(value, ensure_ascii=plain).encode(errors="surrogatepass")

    def spoil(self, data: bytes) -> bytes:
        """The same bytes with some cut, changed, doubled or added."""
        rng = self.rng
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(data))
            some = data[at : at + rng.randint(0, 40)]
            other = rng.choice((rng.randbytes(2), b"}", b"]", b'"', b",", b"\\u0000", b" ", b"9"))
            data = rng.choice(
                (data[:at], data[:at] + other + data[at:], data[:at] + other + data[at + len(other) :], data + some)
            )
        return data

    # ---- WebSocket

    def socket_bytes(self) -> bytes:
        """Frames that are wrong in their first bytes, their length, their mask or their order."""
        rng = self.rng
        payload = rng.choice((b"", CANARY.encode(), b"\xff\xfe", rng.randbytes(rng.choice((1, 125, 126, 200, 65_537)))))
        first = rng.choice((rng.randrange(256), 0x81, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8A, 0x88, 0xC1, 0x09, 0x83))
        if first & 0x0F == 8 and rng.random() < 0.7:
            payload = struct.pack("!H", rng.choice((0, 999, 1000, 1004, 1005, 1006, 1015, 2999, 4000, 65535)))
            payload += CANARY.encode() * rng.choice((0, 1, 13))
        size = rng.choice((len(payload), len(payload), len(payload), 125, 126, 65_536, 2**31, 2**63, 2**64 - 1))
        mask = 0x80 if rng.random() < 0.85 else 0
        if size < 126 and rng.random() < 0.8:
            head = bytes([first, mask | size])
        elif size < 2**16:
            head = bytes([first, mask | 126]) + struct.pack("!H", size)
        else:
            head = bytes([first, mask | 127]) + struct.pack("!Q", size)
        key = b"\0\0\0\0" if mask else b""
        whole = head + key + payload
        return whole[: rng.randint(1, len(whole))] if rng.random() < 0.2 else whole

    # ---- HTTP

    def head(self, token: str) -> bytes:
        """A wrong request, mostly for an upgrade."""
        rng = self.rng
        secret = rng.choice((token, token, token + CANARY, token[:-3] + CANARY, CANARY, ""))
        path = rng.choice((f"/?token={secret}", f"/{CANARY}?ticket={secret}", "/", "/auth/login", "/profile/lastseen"))
        method = rng.choice(("GET", "GET", "GET", "POST", "DELETE", "PUT", CANARY.upper(), "OPTIONS"))
        lines = [f"{method} {path} HTTP/{rng.choice(('1.1', '1.1', '1.1', '1.0', '2.0', '9'))}"]
        named = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        named["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
        lines += [f"{name}: {value}" for name, value in named.items() if rng.random() < 0.95]
        for _ in range(rng.randint(0, 4)):
            value = rng.choice((*VALUES, self.text()[:20_000]))
            lines.insert(
                rng.randint(0, len(lines)), f"{rng.choice(HEADERS)}{rng.choice((': ', ':', ' : ', ''))}{value}"
            )
        end = rng.choice(("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"))
        whole = (end.join(lines) + end + end).encode(errors="surrogatepass")
        return self.spoil(whole) if rng.random() < 0.3 else whole

    def request(self, token: str) -> bytes:
        """A request with a body."""
        rng = self.rng
        body = self.message()
        path = rng.choice(("/auth/signin", "/auth/login", "/block-action/block", "/v1/tickets"))
        size = rng.choice((len(body), len(body), len(body), len(body) + 5, -1, 2**40))
        kind = rng.choice(("application/json", "application/json", "text/plain", f"application/{CANARY}"))
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n"
        bearer = f"Authorization: Bearer {rng.choice((token, token + CANARY))}\r\n"
        return (head + bearer + "\r\n").encode() + body
