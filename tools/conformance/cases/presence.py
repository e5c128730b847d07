"""C36–C38: who is online, and who types."""

from typing import Any

from tools.conformance.case import EVE, RAVI, Stage, case, chat
from tools.conformance.server import error
from tools.conformance.wire import Socket


def presence(number: str, online: bool) -> dict[str, Any]:
    """A frame that says so."""
    return {"type": "presence", "mobileNo": number, "online": online} | ({} if online else {"lastSeen": 1_795_000})


@case("what is watched is watched again after each hello")
async def c36_again_after_hello(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("watch", mobileNos=[RAVI, EVE])
    assert (await socket.expect("watch"))["mobileNos"] == [RAVI, EVE]
    await s.agent.do("unwatch", mobileNos=[EVE])
    assert (await socket.expect("unwatch"))["mobileNos"] == [EVE]
    socket.cut()
    again = await s.next_socket()
    assert (await again.expect("watch"))["mobileNos"] == [RAVI]


@case("at most 200 numbers a frame")
async def c36_frames_of_200(s: Stage) -> None:
    numbers = [str(919_900_000_000 + n) for n in range(450)]
    await s.open()
    await s.agent.do("watch", mobileNos=numbers)
    await s.start()
    socket = await s.server.socket()
    await s.changes.until(
        lambda: sum(len(each["mobileNos"]) for each in socket.of("watch")) >= 450, lambda: "all are watched"
    )
    frames = [each["mobileNos"] for each in socket.of("watch")]
    assert max(map(len, frames)) <= 200, f"frames of {[len(each) for each in frames]}"
    assert sorted(each for some in frames for each in some) == numbers, "each number once"


@case("while not online nobody is shown as online")
async def c36_nobody_while_away(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("watch", mobileNos=[RAVI, EVE])
    await socket.expect("watch")
    socket.send(presence(RAVI, True), presence(EVE, False))
    await s.agent.expect("presence", mobileNo=RAVI, online=True)
    s.server.says_hello = False
    socket.cut()
    await s.agent.expect("presence", mobileNo=RAVI, online=False)
    s.server.says_hello = True


@case("rate_limited: watched again after retryAfter")
async def c36_rate_limited(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("watch", mobileNos=[RAVI])
    await socket.expect("watch")
    socket.send(error("rate_limited", retryable=True, component="watch", mobileNos=[RAVI], retryAfter=7))
    await s.agent.quiet()
    await s.agent.advance(6)
    assert len(socket.of("watch")) == 1, "watched again too early"
    await s.agent.advance(4, until=lambda: len(socket.of("watch")) > 1)
    assert socket.of("watch")[1]["mobileNos"] == [RAVI]


@case("too_many_watched is told and not repeated")
async def c36_too_many(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("watch", mobileNos=[RAVI])
    await socket.expect("watch")
    socket.send(error("too_many_watched", retryable=False, component="watch", mobileNos=[RAVI]))
    await s.agent.expect("notice", code="too_many_watched")
    await s.agent.advance(18)
    assert len(socket.of("watch")) == 1, "repeated"


# ---- C37


@case("at most one frame in 3 s while the keys are pressed, and active:false 5 s after the last")
async def c37_throttled(s: Stage) -> None:
    socket = await s.online()
    for _ in range(24):
        await s.agent.do("typing", to=RAVI, active=True)
        await s.agent.advance(0.5)
    active = len(socket.of("typing", active=True))
    assert 3 <= active <= 5, f"{active} frames in 12 s"
    assert not socket.of("typing", active=False), "it stopped while it went on"
    await s.agent.advance(3.5)
    assert not socket.of("typing", active=False), "stopped before 5 s"
    await s.agent.advance(3, until=lambda: bool(socket.of("typing", active=False)))
    assert socket.of("typing", active=False)[0]["to"] == RAVI


@case("a message that is sent ends the typing")
async def c37_ended_by_a_message(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("typing", to=RAVI, active=True)
    await socket.expect("typing", active=True)
    await s.agent.do("send", to=RAVI, text="done")
    await s.changes.until(lambda: bool(socket.of("typing", active=False)), lambda: "the end of typing")
    await s.agent.advance(10)
    assert len(socket.of("typing")) == 2, f"frames: {socket.of('typing')}"


@case("active:false is passed on")
async def c37_ended_by_the_program(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("typing", to=RAVI, active=True)
    await socket.expect("typing", active=True)
    await s.agent.do("typing", to=RAVI, active=False)
    await socket.expect("typing", active=False)


@case("dropped while not online")
async def c37_dropped_while_away(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("luck", value=0.999)
    socket.cut()
    await s.agent.expect("state", name="pausing")
    await s.agent.do("typing", to=RAVI, active=True)
    again = await s.next_socket()
    await s.agent.quiet()
    await s.agent.advance(6)
    assert not again.of("typing"), f"frames: {again.of('typing')}"


# ---- C38


async def _typing(s: Stage) -> Socket:
    socket = await s.online(handler="ok")
    socket.send({"type": "typing", "from": RAVI, "active": True})
    await s.agent.expect("typing", peer=RAVI, active=True)
    return socket


@case("ends with active:false")
async def c38_active_false(s: Stage) -> None:
    socket = await _typing(s)
    socket.send({"type": "typing", "from": RAVI, "active": False})
    await s.agent.expect("typing", peer=RAVI, active=False)


@case("ends with their chat")
async def c38_chat(s: Stage) -> None:
    socket = await _typing(s)
    socket.send(chat("here it is"))
    await s.agent.expect("typing", peer=RAVI, active=False)


@case("ends after 10 s")
async def c38_ten_seconds(s: Stage) -> None:
    await _typing(s)
    await s.agent.advance(8.5)
    assert not s.agent.told("typing", active=False), "it ended too early"
    await s.agent.advance(3, until=lambda: bool(s.agent.told("typing", peer=RAVI, active=False)))


@case("ends with the connection")
async def c38_connection(s: Stage) -> None:
    socket = await _typing(s)
    socket.cut()
    await s.agent.expect("typing", peer=RAVI, active=False)
