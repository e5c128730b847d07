"""C9–C16: opening the socket, pauses, close codes, silence, and what is no frame."""

import json
from functools import partial
from typing import Any, Final

from tools.conformance.case import ASHA, RAVI, Stage, case, chat, receipt, stream_id
from tools.conformance.server import (
    LOGIN,
    REFRESH,
    TICKETS,
    UPGRADE,
    Reaction,
    answer,
    error,
    lost_answer,
    lost_request,
    refuse,
    silent,
)
from tools.conformance.wire import TEXT, encode

PAUSING: Final = (1000, 1001, 1002, 1003, 1007, 1009, 1012, 1013, 3000, 4000, 4001, 4002, 4003, 4004, 4005, 4012, 4499)
STOPPING: Final = (1008, 1011, 4500, 4503, 4504, 4508, 4510, 4999)
EDGE: Final = 1 - 2**-20
"""The highest luck."""


async def pauses(s: Stage, count: int, most: float = 40.0) -> list[float]:
    """The next so many pauses, in seconds of the client's clock. What ends the connections is planned already."""
    found: list[float] = []
    for _ in range(count):
        pause = await s.agent.expect("state", name="pausing")
        place = s.agent.events.index(pause)
        await s.agent.advance(most, until=partial(_tries_again, s, place))
        [again, *_] = [each for each in s.agent.events[place:] if _is_try(each)]
        found.append(again["t"] - pause["t"])
    return found


def _is_try(event: dict[str, Any]) -> bool:
    return (event["event"], event.get("name")) == ("state", "connecting")


def _tries_again(s: Stage, place: int) -> bool:
    return any(map(_is_try, s.agent.events[place:]))


# ---- C9


@case("each socket has a fresh ticket and offers wm.v1")
async def c9_ticket_and_subprotocol(s: Stage) -> None:
    socket = await s.online()
    socket.cut()
    await s.next_socket()
    opened = s.server.asked(UPGRADE)
    tickets = [request.query.get("ticket") for request in opened]
    assert len(set(tickets) - {None}) == 2, f"the tickets are {tickets}"
    assert all(request.headers.get("sec-websocket-protocol") == "wm.v1" for request in opened), "the subprotocol"
    assert not any(request.query.get("token") for request in opened), "a token in a URL"


@case("nothing is sent before hello")
async def c9_nothing_before_hello(s: Stage) -> None:
    s.server.says_hello = False
    await s.open()
    await s.start()
    socket = await s.server.socket()
    await s.agent.do("post", to=RAVI, text="early")
    await s.agent.do("watch", mobileNos=[RAVI])
    await s.agent.do("typing", to=RAVI, active=True)
    await s.agent.advance(5)
    await s.agent.quiet()
    assert not socket.frames, f"before hello: {socket.frames}"
    s.server.welcome(socket)
    await socket.expect("chat", message="early")


# ---- C10


@case("no hello within 10 s: the socket is closed, and a pause")
async def c10_no_hello(s: Stage) -> None:
    s.server.says_hello = False
    await s.open()
    await s.start()
    socket = await s.server.socket()
    await s.agent.advance(8.5)
    await s.agent.quiet()
    assert socket.code is None, "it was given up too early"
    await s.agent.advance(3, until=lambda: bool(s.agent.told("state", name="pausing")))
    await socket.ended()
    s.server.says_hello = True
    await s.next_socket()


@case("an upgrade that is never answered is given up after 10 s")
async def c10_no_upgrade(s: Stage) -> None:
    s.server.plan(UPGRADE, silent)
    await s.open()
    await s.start()
    await s.server.request(UPGRADE)
    await s.agent.advance(21, until=lambda: bool(s.agent.told("state", name="pausing")))
    await s.next_socket()


@case("a ticket that never comes is given up")
async def c10_no_ticket(s: Stage) -> None:
    s.server.plan(TICKETS, silent)
    await s.open()
    await s.start()
    await s.server.request(TICKETS)
    await s.next_socket(60)


# ---- C11


@case("pauses double up to 30 s: with the highest luck")
async def c11_bounds(s: Stage) -> None:
    await s.agent.do("luck", value=EDGE)
    s.server.always(UPGRADE, lost_request)
    await s.open()
    await s.start()
    made = await pauses(s, 8)
    wanted = [min(30.0, 2.0**n) for n in range(8)]
    assert all(abs(one - most) < 0.9 for one, most in zip(made, wanted, strict=True)), f"the pauses are {made}"


@case("pauses are between 0 and their bound: with the lowest luck")
async def c11_full_jitter(s: Stage) -> None:
    await s.agent.do("luck", value=0.0)
    s.server.plan(UPGRADE, *[lost_request] * 5)
    await s.open()
    await s.start()
    made = await pauses(s, 5)
    assert all(each < 0.5 for each in made), f"the pauses are {made}"


@case("pauses differ by chance")
async def c11_chance(s: Stage) -> None:
    s.server.always(UPGRADE, lost_request)
    await s.open()
    await s.start()
    made = await pauses(s, 9)
    assert all(pause < min(30, 2**n) + 0.9 for n, pause in enumerate(made)), f"the pauses are {made}"
    shares = [pause / min(30, 2**n) for n, pause in enumerate(made)][2:]
    assert max(shares) - min(shares) > 0.05, f"no jitter: {shares}"


@case("the count begins anew after 10 s online, and not before")
async def c11_begins_anew(s: Stage) -> None:
    await s.agent.do("luck", value=EDGE)
    s.server.plan(UPGRADE, *[lost_request] * 4)
    await s.open()
    await s.start()
    await pauses(s, 4)
    socket = await s.server.socket()
    await s.in_state("online")
    await s.agent.advance(5)
    socket.cut()
    [still_long] = await pauses(s, 1)
    assert still_long > 10, f"a connection of 5 s made the pause short: {still_long}"
    socket = await s.server.socket()
    await s.in_state("online")
    await s.agent.advance(11)
    socket.cut()
    [short] = await pauses(s, 1)
    assert short < 2.5, f"the pause after 11 s online is {short}"


@case("connectNow ends a pause")
async def c11_connect_now(s: Stage) -> None:
    await s.agent.do("luck", value=EDGE)
    socket = await s.online()
    socket.cut()
    await s.agent.expect("state", name="pausing")
    await s.agent.do("connectNow")
    await s.server.socket()


# ---- C12


@case("the retryAfter of draining is obeyed: never shorter, at most a second longer")
async def c12_draining(s: Stage) -> None:
    socket = await s.online()
    for wanted in (7.5, 0.5, 20.0):
        socket.send(error("draining", retryable=True, component="server", retryAfter=wanted))
        socket.close(4012)
        [pause] = await pauses(s, 1)
        assert wanted - 0.01 <= pause <= wanted + 1.5, f"{pause} s instead of {wanted}"
        socket = await s.server.socket()
        await s.in_state("online")


def _obeyed(name: str, route: str, reaction: Reaction, seconds: float, what: str) -> None:
    async def play(s: Stage) -> None:
        s.server.plan(route, reaction)
        await s.open()
        await s.start()
        [pause] = await pauses(s, 1, 60)
        assert seconds - 0.01 <= pause <= seconds + 1.5, f"{pause} s instead of {seconds}"
        await s.server.socket()

    play.__name__ = f"c12_{name}"
    case(what)(play)


# ---- C13


@case("19 codes after which it pauses and connects: below 4000 but 1008 and 1011, 4000 to 4499, none, and 1006")
async def c13_pausing(s: Stage) -> None:
    socket = await s.online()
    for code in (*PAUSING, None):
        socket.close(code)
        await s.agent.expect("state", name="pausing")
        socket = await s.next_socket()
    socket.cut()
    await s.next_socket()
    assert not s.server.asked(REFRESH)
    assert len(s.server.asked(LOGIN)) == 1


def _stops(code: int) -> None:
    async def play(s: Stage) -> None:
        socket = await s.online()
        socket.close(code, "because")
        state = await s.in_state("stopped")
        assert str(state["code"]) == str(code), f"the state is {state}"
        await s.never_again()
        await s.agent.do("connectNow")
        await s.server.socket()

    play.__name__ = f"c13_{code}"
    case(f"{code}: stopped until somebody decides")(play)


@case("4509: loggedOut, without logging in anew")
async def c13_4509(s: Stage) -> None:
    socket = await s.online()
    socket.close(4509)
    state = await s.in_state("loggedOut")
    assert str(state["code"]) == "4509", f"the state is {state}"
    await s.never_again()
    assert len(s.server.asked(LOGIN)) == 1


@case("two clients of one device: the one that was replaced stays away")
async def c13_no_war(s: Stage) -> None:
    first = await s.online()
    other = await s.another_agent()
    await s.open(other)
    await s.start(other)
    await s.server.socket()
    first.close(4508)
    await s.in_state("stopped")
    await s.never_again(3600)
    assert len(s.server.sockets) == 2, f"{len(s.server.sockets)} sockets"


# ---- C14


@case("the upgrade refused with 401: another ticket, or a refresh; no log-in")
async def c14_upgrade_401(s: Stage) -> None:
    s.server.plan(UPGRADE, refuse(401, "ticket_invalid"))
    await s.open()
    await s.start()
    await s.next_socket()
    assert len(s.server.asked(TICKETS)) == 2
    assert len(s.server.asked(LOGIN)) == 1


@case("a ticket refused with token_invalid ends the session: logs in anew")
async def c14_ticket_token_invalid(s: Stage) -> None:
    s.server.plan(TICKETS, refuse(401, "token_invalid"))
    await s.online()
    assert len(s.server.asked(LOGIN)) == 2


@case("too_many_devices at the log-in: stopped, with the code")
async def c14_too_many_devices(s: Stage) -> None:
    devices = [{"deviceId": "old", "deviceName": "Old", "lastSeen": "online"}]
    s.server.plan(LOGIN, refuse(409, "too_many_devices", devices=devices))
    await s.open()
    starting = s.agent.begin_to("start")
    await s.server.request(LOGIN)
    await s.agent.advance(600)
    await s.agent.quiet()
    assert len(s.server.asked(LOGIN)) == 1
    told = [each for each in s.agent.told("state", name="stopped") if each["code"] == "too_many_devices"]
    assert told or (starting.done() and "too_many_devices" in str(starting.exception())), f"the state is {s.state}"


@case("too_many_devices at the ticket: stopped")
async def c14_too_many_devices_at_the_ticket(s: Stage) -> None:
    s.server.plan(TICKETS, refuse(409, "too_many_devices", devices=[]))
    await s.open()
    await s.start()
    state = await s.in_state("stopped")
    assert state["code"] == "too_many_devices", f"the state is {state}"
    await s.never_again()


@case("any other refusal, and what is no answer of ours: a pause")
async def c14_other_refusals(s: Stage) -> None:
    html = answer(502, "<html>Bad gateway</html>")
    nothing = answer(200, {"success": True})
    others = (refuse(500, "internal"), refuse(404, "not_found"), html, nothing, lost_request, lost_answer)
    s.server.plan(TICKETS, *others)
    s.server.plan(UPGRADE, refuse(500, "internal"), html, refuse(404, "not_found"), lost_request)
    await s.open()
    await s.start()
    await s.next_socket(400)
    assert len(s.server.asked(TICKETS)) == len(others) + 5, f"{len(s.server.asked(TICKETS))} tickets"
    assert len(s.server.asked(LOGIN)) == 1


# ---- C15


@case("silence for pingSeconds: ping; an answer is a sign of life")
async def c15_ping(s: Stage) -> None:
    socket = await s.online()
    await s.agent.advance(18)
    assert not socket.of("ping"), "a ping before pingSeconds were over"
    await s.agent.advance(3, until=lambda: bool(socket.of("ping")))
    await s.agent.quiet()
    await s.agent.advance(15)
    await s.agent.quiet()
    assert socket.code is None, "given up although the ping was answered"


@case("pingSeconds is the server's")
async def c15_ping_seconds_of_hello(s: Stage) -> None:
    s.server.hello["pingSeconds"] = 5
    socket = await s.online()
    await s.agent.advance(3.5)
    assert not socket.of("ping")
    await s.agent.advance(2.5, until=lambda: bool(socket.of("ping")))


@case("an unanswered ping: given up after 10 s, and connects at once")
async def c15_unanswered(s: Stage) -> None:
    await s.agent.do("luck", value=EDGE)
    socket = await s.online()
    socket.answers_pings = False
    await s.agent.advance(22, until=lambda: bool(socket.of("ping")))
    await s.agent.advance(8)
    await s.agent.quiet()
    assert len(s.server.sockets) == 1, "given up too early"
    before = s.agent.told("state")[-1]["t"]
    await s.agent.advance(4, until=lambda: bool(s.state["t"] > before))
    await s.server.socket()
    assert not s.agent.told("state", name="pausing"), "it paused"


@case("any frame of the server is a sign of life")
async def c15_any_frame(s: Stage) -> None:
    socket = await s.online()
    for _ in range(4):
        await s.agent.advance(15)
        socket.send({"type": "synced", "count": 0})
        await s.agent.quiet()
    assert not socket.of("ping"), "a ping although the server spoke"


@case("a silent server again and again: at once only the first time, then pauses")
async def c15_silent_servers(s: Stage) -> None:
    await s.agent.do("luck", value=EDGE)
    socket = await s.online()
    for _ in range(4):
        socket.answers_pings = False
        await s.agent.advance(33, until=lambda: s.server.unasked > 0 or s.state["name"] == "pausing")
        socket = await s.next_socket()
    seconds = 4 * 30
    assert len(s.server.sockets) == 5, f"{len(s.server.sockets)} sockets in {seconds} s"


# ---- C16


@case("unknown frames and fields are passed over")
async def c16_unknown(s: Stage) -> None:
    socket = await s.online(handler="ok")
    known = chat("hello") | {"colour": "blue", "nested": {"a": [1]}}
    socket.send({"type": "weather", "streamId": "9-9"}, known, {"type": "weather"})
    socket.send({"type": "weather"})
    socket.send({"kind": "no type"})
    socket.send(receipt("glimpsed", "m-1"))
    assert await s.handed(1) == ["hello"]
    await socket.acked(known["streamId"])
    await s.agent.quiet()
    assert socket.code is None, "the connection ended"


def _no_frame(name: str, text: str, what: str) -> None:
    async def play(s: Stage) -> None:
        socket = await s.online(handler="ok")
        socket.send_text(text)
        await socket.ended()
        await s.agent.expect("state", name="pausing")
        await s.agent.quiet()
        assert not s.agent.told("handling"), "a part of it counted"
        await s.next_socket()

    play.__name__ = f"c16_{name}"
    case(what)(play)


@case("a message cut in its middle: nothing of it counts")
async def c16_cut_within(s: Stage) -> None:
    socket = await s.online(handler="ok")
    await socket.cut_within(chat("one"), chat("two"))
    await s.agent.expect("state", name="pausing")
    again = await s.next_socket()
    assert not (s.agent.told("handling"))
    assert not (again.acknowledged())


@case("a message that is announced as a terabyte ends the connection")
async def c16_too_large(s: Stage) -> None:
    socket = await s.online(handler="ok")
    socket.send_bytes(encode(TEXT, b'{"type":"chat","message":"', announced=1 << 40))
    await socket.ended()
    await s.agent.expect("state", name="pausing")
    await s.next_socket()


@case("as large a message as the protocol allows is taken")
async def c16_large(s: Stage) -> None:
    socket = await s.online(handler="ok")
    many = [chat("x" * 15_000) for _ in range(4)]
    socket.send(*many)
    await socket.acked(*(each["streamId"] for each in many))
    long = [chat("y" * 16_000) | {"padding": "z" * 200_000}]
    socket.send(*long)
    await socket.acked(long[0]["streamId"])


for _code in STOPPING:
    _stops(_code)
_obeyed(
    "ticket_body",
    TICKETS,
    refuse(503, "unavailable", retry_after=6.5, header=7),
    6.5,
    "retryAfter in the body of a refused ticket",
)
_obeyed("ticket_header", TICKETS, refuse(429, "rate_limited", header=9), 9, "Retry-After of a refused ticket")
_obeyed(
    "ticket_no_json",
    TICKETS,
    answer(503, "<html>busy</html>", {"Retry-After": "8"}),
    8,
    "Retry-After of a proxy whose answer is no JSON",
)
_obeyed("login", LOGIN, refuse(429, "rate_limited", retry_after=12, header=12), 12, "retryAfter of a refused log-in")
_no_frame("no_json", '{"type":"chat","message":', "a message that is no JSON ends the connection")
_no_frame(
    "half_an_array",
    "[" + json.dumps(chat("one", at=stream_id())) + ',{"type":"chat","to":"' + ASHA,
    "an array that breaks off: nothing of it counts",
)
