"""Watching and typing in a session: each refusal, the cost, what follows; and the throttle."""

import itertools
from typing import Any

import pytest

from delivery.policy import View
from delivery.results import CommandFailed
from delivery.session import effects as do
from delivery.session import watching as module
from delivery.session.watching import TypingThrottle
from protocol.dialects import V1, Seed
from protocol.errors import ApiError
from tests.support.messaging import ASHA, EVE, RAVI, HandConnection, Row, until
from tests.support.sessions import DrivenSession, Frame


def watch(*mobiles: Any, kind: str = "watch") -> Frame:
    return {"type": kind, "mobileNos": list(mobiles)}


def typing(to: Any = ASHA, active: Any = True) -> Frame:
    return {"type": "typing", "to": to, "active": active}


@pytest.mark.parametrize(
    ("frame", "code", "names"),
    [
        (watch(), "bad_frame", {}),
        (watch("x", ASHA), "bad_mobile", {"mobileNos": [ASHA]}),
        (watch(*[ASHA] * 4), "too_many_watched", {"mobileNos": [ASHA] * 4}),
        (watch(ASHA, 7), "bad_frame", {"mobileNos": [ASHA]}),
        (watch(kind="unwatch"), "bad_frame", {}),
        (watch(*[ASHA] * 1001, kind="unwatch"), "bad_frame", {"mobileNos": [ASHA] * 16}),
        (watch("12", kind="unwatch"), "bad_mobile", {"mobileNos": ["12"]}),
        (typing("x"), "bad_mobile", {}),
        (typing(RAVI), "self_message", {"to": RAVI}),
        (typing(active="yes"), "bad_frame", {"to": ASHA}),
    ],
)
def test_refusals(frame: Frame, code: str, names: Frame) -> None:
    driven = DrivenSession(watch_limit=3).follow()
    (answer,) = driven.answers(frame)
    assert (answer["type"], answer["code"], answer["component"]) == ("error", code, frame["type"])
    assert {name: answer[name] for name in ("mobileNos", "to") if name in answer} == names
    assert driven.effects == []


@pytest.mark.parametrize("frame", [watch(ASHA), watch(kind="unwatch"), typing(), typing("x")])
def test_the_seed_dialect_knows_none_of_it(frame: Frame) -> None:
    driven = DrivenSession(Seed()).follow()
    (answer,) = driven.answers(frame)
    assert (answer["code"], answer["component"]) == ("unknown_type", "frame")
    assert "mobileNos" not in answer
    assert driven.effects == []


def test_a_watch_is_answered_with_what_may_be_seen_of_each() -> None:
    driven = DrivenSession().follow()
    driven.message(watch(f"+{ASHA}", EVE, ASHA))
    ask = driven.one(do.Watch)
    assert ask.mobiles == [ASHA, EVE]
    driven.reply(ask, [(ASHA, View(online=True)), (EVE, View(last_seen=5))])
    assert driven.sent() == [
        {"type": "presence", "mobileNo": ASHA, "online": True},
        {"type": "presence", "mobileNo": EVE, "online": False, "lastSeen": 5},
    ]
    driven.message(watch(EVE, kind="unwatch"))
    assert driven.one(do.Unwatch).mobiles == [EVE]


@pytest.mark.parametrize(
    ("failure", "code"),
    [(ApiError("rate_limited", retry_after=3), "rate_limited"), (CommandFailed("ERR"), "internal")],
)
def test_a_watch_that_fails_is_refused_by_name(failure: Exception, code: str) -> None:
    driven = DrivenSession().follow()
    driven.message(watch(ASHA))
    driven.reply(driven.one(do.Watch), failure)
    (answer,) = driven.sent()
    assert (answer["code"], answer["component"], answer["mobileNos"]) == (code, "watch", [ASHA])
    assert not driven.session.ended


def test_our_own_failure_ends_the_connection() -> None:
    driven = DrivenSession().follow()
    driven.message(watch(ASHA))
    driven.reply(driven.one(do.Watch), ValueError("a bug"))
    assert driven.one(do.CloseSocket).close.code == 1011


def test_a_client_that_asks_faster_than_it_is_answered_is_not_read() -> None:
    driven = DrivenSession().follow()
    for n in range(module.WATCHES_UNDER_WAY):
        assert not driven.session.is_full, n
        driven.message(watch(ASHA))
    assert driven.session.is_full
    assert driven.session.in_hand == module.WATCHES_UNDER_WAY
    for ask in driven.take(do.Watch):
        driven.reply(ask, [])
    assert (driven.session.is_full, driven.session.in_hand) == (False, 0)
    assert driven.take(do.ResumeReading)


def test_each_number_is_work() -> None:
    driven = DrivenSession(data_frames_per_second=10, data_frames_burst=10).follow()
    assert driven.message(watch(*(str(9_400_000_000 + n) for n in range(30)))) == pytest.approx(2.1)
    assert driven.message(typing()) == pytest.approx(2.2)


def test_typing_is_passed_on_once_a_second_for_each_recipient() -> None:
    driven = DrivenSession().follow()
    for step, to, passed in ((0, ASHA, 1), (0.5, ASHA, 0), (0, EVE, 1), (0.6, ASHA, 1), (0.1, EVE, 0)):
        driven.now += step
        assert driven.answers(typing(to)) == []
        assert len(driven.take(do.SendTyping)) == passed
    driven.now += 1
    driven.message(typing(active=False))
    told = driven.one(do.SendTyping)
    assert (told.to, told.active) == (ASHA, False)


def test_nobody_types_to_everybody_at_once() -> None:
    throttle = TypingThrottle()
    assert [throttle.admits(str(n), 1.0) for n in range(30)] == [True] * 20 + [False] * 10
    assert throttle.admits("5", 2.0)
    assert len(throttle._sent) == 1, "nothing is kept longer than it is needed"


# ---- on a connection


async def test_a_connection_shows_presence_and_typing_and_leaves_no_watch(redis: Any) -> None:
    one = await HandConnection(redis).begin()
    one.frame(**watch(ASHA))
    await until(lambda: one.socket.of("presence"))
    assert one.connection.show_presence([(ASHA, View(online=True))])
    one.server.hub.typing(RAVI, ASHA, True)
    assert one.socket.of("typing") == [{"type": "typing", "from": ASHA, "active": True}]
    assert [frame["online"] for frame in one.socket.of("presence")] == [False, True]
    one.socket.stop_reading()
    one.server.hub.typing(RAVI, ASHA, False)
    assert not one.connection.show_presence([(ASHA, View())])
    assert (len(one.socket.of("typing")), len(one.server.watches)) == (1, 1)
    one.connection.handle_lost(1000, "")
    await one.over()
    assert one.connection.show_presence([(ASHA, View())])
    assert (len(one.socket.of("presence")), len(one.server.watches)) == (2, 0)


@pytest.mark.parametrize("dialect", [V1(), Seed()])
async def test_typing_reaches_the_recipients_connections_that_know_it(redis: Any, dialect: V1 | Seed) -> None:
    one = await HandConnection(redis, dialect).begin()
    await one.server.people.load(ASHA)
    relay = one.server.messaging.typing
    await relay.relay(ASHA, RAVI, True)
    await relay.relay("9999999999", RAVI, True)
    await relay.relay(ASHA, "9999999999", True)
    assert len(one.socket.of("typing")) == (1 if isinstance(dialect, V1) else 0)
    versions = itertools.count(1)

    async def decide(mobile: str, privacy: str = "", blocked: tuple[str, ...] = ()) -> None:
        rules = Row(f"account of {mobile}", next(versions), dict.fromkeys(blocked, 1), privacy)
        await one.server.people.replace_rules(mobile, rules)

    for mobile, privacy, blocked in ((RAVI, "en11", ()), (ASHA, "en11", ()), (RAVI, "", (ASHA,)), (ASHA, "", (RAVI,))):
        await decide(mobile, privacy, blocked)
        await relay.relay(ASHA, RAVI, True)
        await decide(mobile)
    assert len(one.socket.of("typing")) == (1 if isinstance(dialect, V1) else 0)
