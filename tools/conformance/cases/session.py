"""C1–C8: log-in, refresh, the end of a session, and clocks."""

import asyncio

from tools.conformance.accounts import DAY, ME, PASSWORD
from tools.conformance.agents import AgentError, answer_of, failure
from tools.conformance.case import RAVI, Stage, case
from tools.conformance.server import (
    LOGIN,
    REFRESH,
    TICKETS,
    Reaction,
    answer,
    done_and_silent,
    held,
    lost_answer,
    lost_request,
    refuse,
    silent,
)

SESSION_ENDS = ("refresh_invalid", "refresh_reused", "session_revoked", "token_invalid", "token_expired")
EXPIRED = 4501
LOGGED_OUT = 4509


def refreshes(s: Stage) -> int:
    """How many there were; the same one asked for again, because its answer took long (C4), is no other one."""
    return len({request.body["refreshToken"] for request in s.server.asked(REFRESH)})


@case("logs in with number, password and device where nothing is stored")
async def c1_logs_in(s: Stage) -> None:
    await s.online()
    form = (await s.server.request(LOGIN)).body
    assert (form["mobileNo"], form["password"], form["deviceId"]) == (ME, PASSWORD, "device-1"), "the log-in"
    assert len(s.server.asked(LOGIN)) == 1


@case("uses the stored session after a restart")
async def c1_uses_stored_session(s: Stage) -> None:
    store = s.file_store()
    await s.online(store=store)
    await s.agent.kill()
    again = await s.another_agent()
    await s.open(again, store=store, password="")
    await s.start(again)
    await s.server.socket()
    assert len(s.server.asked(LOGIN)) == 1, "the second start logged in again"


@case("a log-in answered with what is no session is tried again")
async def c1_no_session(s: Stage) -> None:
    nothing = answer(200, {"success": True})
    s.server.plan(LOGIN, nothing, answer(200, "<html>Log in to this network</html>"), answer(200, []), nothing)
    await s.open()
    await s.start()
    await s.next_socket(120)


@case("a wrong password is told, and not tried for ever")
async def c1_wrong_password(s: Stage) -> None:
    await s.open(password="wrong password")
    starting = s.agent.begin_to("start")
    await s.server.request(LOGIN)
    await s.agent.quiet()
    await s.agent.advance(600)
    assert len(s.server.asked(LOGIN)) == 1, f"{len(s.server.asked(LOGIN))} log-ins with a wrong password"
    if starting.done() and starting.exception() is None:
        assert s.state["name"] == "loggedOut", f"the state is {s.state}"


@case("refreshes 5 minutes before the end of a token that lives a day")
async def c2_before_the_end(s: Stage) -> None:
    s.server.hello["pingSeconds"] = 7200
    socket = await s.online()
    await s.agent.advance(DAY - 360)
    assert not s.server.asked(REFRESH), "a refresh long before the end"
    await s.agent.advance(120, until=lambda: bool(s.server.asked(REFRESH)))
    assert socket.code is None or s.server.open_sockets, "the connection lives on"


@case("refreshes when a tenth of a short token remains")
async def c2_tenth_of_a_short_token(s: Stage) -> None:
    s.server.accounts.life = 1000
    await s.online()
    await s.agent.advance(880)
    assert not s.server.asked(REFRESH), "a refresh before nine tenths are over"
    await s.agent.advance(30, until=lambda: bool(s.server.asked(REFRESH)))


@case("a request refused with token_expired: refresh, then the request again, once")
async def c2_request_refused(s: Stage) -> None:
    await s.online()
    s.server.plan("GET /v1/sessions", refuse(401, "token_expired"))
    await s.agent.do("api", name="sessions")
    assert len(s.server.asked(REFRESH)) == 1, "one refresh"
    first, second = s.server.asked("GET /v1/sessions")
    assert first.token != second.token, "the second request has the new token"


@case("a request refused again after the refresh is not repeated")
async def c2_request_refused_twice(s: Stage) -> None:
    await s.online()
    s.server.always("GET /v1/sessions", refuse(401, "token_expired"))
    refused = await failure(s.agent.begin_to("api", name="sessions"))
    assert refused.code == "token_expired", f"the code is {refused.code}"
    await s.agent.advance(5)
    assert len(s.server.asked("GET /v1/sessions")) == 2, "sent again once"
    assert len(s.server.asked(REFRESH)) == 1, "refreshed once"


@case("close 4501: refresh, then connect")
async def c2_closed_with_4501(s: Stage) -> None:
    socket = await s.online()
    s.server.accounts.expire_tokens()
    socket.close(EXPIRED)
    await s.next_socket(2)
    assert len(s.server.asked(REFRESH)) == 1
    assert len(s.server.asked(LOGIN)) == 1, "it logged in instead of refreshing"


@case("a ticket refused with token_expired: refresh, then another try")
async def c2_ticket_refused(s: Stage) -> None:
    s.server.plan(TICKETS, refuse(401, "token_expired"))
    await s.online()
    assert len(s.server.asked(REFRESH)) == 1


@case("a token that expires while the client pauses")
async def c2_expired_while_pausing(s: Stage) -> None:
    socket = await s.online()
    s.server.accounts.expire_tokens()
    socket.cut()
    await s.next_socket()
    assert len(s.server.asked(REFRESH)) == 1


@case("two processes with one store: one refresh, both use it; or the second one is not let in")
async def c3_two_processes(s: Stage) -> None:
    store = s.file_store()
    first_socket = await s.online(store=store)
    other = await s.another_agent()
    try:
        await s.open(other, store=store)
    except AgentError:
        return  # this store lets one process in at a time
    await s.start(other)
    second_socket = await s.server.socket()
    gate = asyncio.Event()
    s.server.always(REFRESH, held(gate))
    s.server.accounts.expire_tokens()
    first_socket.close(EXPIRED)
    await s.server.request(REFRESH)
    second_socket.close(EXPIRED)
    await other.quiet()
    gate.set()
    await s.agent.advance(5, until=lambda: s.server.unasked > 0)
    await other.advance(5, until=lambda: s.server.unasked > 1 or len(s.server.open_sockets) > 1)
    assert refreshes(s) == 1, f"{refreshes(s)} refreshes"


@case("two clients with one store: one refresh, both use it")
async def c3_two_clients(s: Stage) -> None:
    first_socket = await s.online()
    await s.second_client()
    second_socket = await s.server.socket()
    await s.agent.expect("state", name="online", client="second")
    gate = asyncio.Event()
    s.server.always(REFRESH, held(gate))
    s.server.accounts.expire_tokens()
    first_socket.close(EXPIRED)
    await s.server.request(REFRESH)
    second_socket.close(EXPIRED)
    await s.agent.quiet()
    gate.set()
    await s.server.socket()
    await s.server.socket()
    assert refreshes(s) == 1, f"{refreshes(s)} refreshes"


@case("several requests refused at once: one refresh")
async def c3_requests_at_once(s: Stage) -> None:
    await s.online()
    gate = asyncio.Event()
    s.server.plan(REFRESH, held(gate))
    s.server.accounts.expire_tokens()
    asked = [s.agent.begin_to("api", name=name) for name in ("sessions", "devices", "securityEvents", "blocked")]
    await s.server.request(REFRESH)
    await s.agent.quiet()
    gate.set()
    for each in asked:
        await answer_of(each)
    assert refreshes(s) == 1, f"{refreshes(s)} refreshes"


@case("new tokens are kept before they are used")
async def c4_kept_before_used(s: Stage) -> None:
    socket = await s.online()
    old = (await s.server.request(TICKETS)).token
    await s.agent.do("holdStore", operation="saveSession")
    s.server.accounts.expire_tokens()
    socket.close(EXPIRED)
    await s.agent.expect("store", operation="saveSession")
    await s.agent.quiet()
    await s.agent.advance(1)
    used = {request.token for request in s.server.requests if request.token}
    assert used == {old}, "a token was used that is not kept yet"
    await s.agent.do("releaseStore", operation="saveSession")
    await s.next_socket()


@case("a lost answer: the same refresh at once, after 2 s, and later")
async def c4_lost_answers(s: Stage) -> None:
    socket = await s.online()
    s.server.plan(REFRESH, lost_answer, lost_answer, lost_request, lost_request)
    s.server.accounts.expire_tokens()
    socket.close(EXPIRED)
    await s.server.request(REFRESH, 2)
    await s.agent.quiet()
    assert len(s.server.asked(REFRESH)) == 2, "the third try comes after 2 s"
    await s.agent.advance(2.5, until=lambda: len(s.server.asked(REFRESH)) > 2)
    await s.next_socket(120)
    given = {request.body["refreshToken"] for request in s.server.asked(REFRESH)}
    assert len(given) == 1, "another refresh token was tried"
    assert len(s.server.asked(LOGIN)) == 1, "it logged in anew"


@case("a refresh that is never answered is tried again with the same token")
async def c4_silence(s: Stage) -> None:
    socket = await s.online()
    s.server.plan(REFRESH, silent)
    s.server.accounts.expire_tokens()
    socket.close(EXPIRED)
    await s.server.request(REFRESH)
    await s.agent.advance(60, until=lambda: len(s.server.asked(REFRESH)) > 1)
    await s.next_socket(60)
    assert len({request.body["refreshToken"] for request in s.server.asked(REFRESH)}) == 1


@case("a refresh interrupted by the end of the process is repeated at the next start")
async def c4_killed_while_refreshing(s: Stage) -> None:
    store = s.file_store()
    socket = await s.online(store=store)
    s.server.plan(REFRESH, done_and_silent)
    s.server.accounts.expire_tokens()
    socket.close(EXPIRED)
    await s.server.request(REFRESH)
    await s.agent.kill()
    again = await s.another_agent()
    await s.open(again, store=store, password="")
    await s.start(again)
    await again.advance(5, until=lambda: s.server.unasked > 0)
    await s.server.socket()


def _ends(code: str) -> None:
    async def with_password(s: Stage) -> None:
        socket = await s.online()
        s.server.plan(REFRESH, refuse(401, code))
        s.server.accounts.expire_tokens()
        socket.close(EXPIRED)
        await s.next_socket(5)
        assert len(s.server.asked(LOGIN)) == 2, f"{len(s.server.asked(LOGIN))} log-ins"
        assert len(s.server.asked(REFRESH)) == 1, f"{len(s.server.asked(REFRESH))} refreshes"

    with_password.__name__ = f"c5_{code}"
    case(f"refresh refused with {code}: logs in anew, once, if there is a password")(with_password)

    async def without(s: Stage) -> None:
        await s.online(store={"kind": "memory", "name": "kept"})
        await s.agent.do("stop")
        await s.open(store={"kind": "memory", "name": "kept"}, password="")
        s.agent.events.clear()
        await s.start()
        socket = await s.server.socket()
        s.server.answers_chats = False
        await s.agent.do("post", to=RAVI, text="still here")
        await socket.expect("chat")
        s.server.plan(REFRESH, refuse(401, code))
        s.server.accounts.expire_tokens()
        socket.close(EXPIRED)
        await s.in_state("loggedOut")
        await s.never_again()
        assert len(s.server.asked(LOGIN)) == 1, "it logged in without a password"
        await s.open(store={"kind": "memory", "name": "kept"})
        await s.start()
        socket = await s.server.socket()
        assert len(s.server.asked(LOGIN)) == 2, "the session was not removed from the store"
        await socket.expect("chat", message="still here")

    without.__name__ = f"c5_{code}_without_password"
    case(f"refresh refused with {code}: loggedOut without a password, and what waits stays")(without)


@case("a session that was just opened and is refused is not opened for ever")
async def c5_no_endless_log_ins(s: Stage) -> None:
    s.server.always(TICKETS, refuse(401, "session_revoked"))
    await s.open()
    starting = s.agent.begin_to("start")
    await s.server.request(TICKETS)
    await s.agent.advance(30)
    await s.agent.quiet()
    count = len(s.server.asked(LOGIN))
    assert count <= 2, f"{count} log-ins in 30 s"
    starting.cancel()


def _stays(name: str, reaction: Reaction, what: str) -> None:
    async def play(s: Stage) -> None:
        socket = await s.online()
        s.server.always(REFRESH, reaction)
        s.server.accounts.expire_tokens()
        socket.close(EXPIRED)
        await s.agent.advance(90, until=lambda: len(s.server.asked(REFRESH)) > 3)
        assert len(s.server.asked(LOGIN)) == 1, "it logged in anew"
        assert s.state["name"] != "loggedOut"
        s.server.always(REFRESH, None)
        await s.next_socket(180)
        assert len(s.server.asked(LOGIN)) == 1, "it logged in anew"
        assert len({request.body["refreshToken"] for request in s.server.asked(REFRESH)}) == 1

    play.__name__ = f"c6_{name}"
    case(what)(play)


@case("no token, ticket, password or text in a log, an error or a URL")
async def c7_secrets(s: Stage) -> None:
    text = "a text which is secret"
    s.server.plan(TICKETS, refuse(500, "internal"))
    await s.open()
    await s.start()
    socket = await s.next_socket()
    s.server.plan("GET /v1/sessions", refuse(401, "token_expired"))
    await s.agent.do("api", name="sessions")
    s.server.plan("GET /v1/devices", refuse(500, "internal"))
    errors = [str((await failure(s.agent.begin_to("api", name="devices"))).data)]
    s.server.answers_chats = False
    sending = s.agent.begin_to("send", to=RAVI, text=text)
    chat = await socket.expect("chat")
    s.server.refuse_chat(socket, chat, "no_such_person", retryable=False)
    errors.append(str((await failure(sending)).data))
    socket.send_text('{"type":"chat","message":"' + text)
    await socket.ended()
    await s.agent.do("stop")
    await s.agent.quiet()
    secrets = {*s.server.accounts.secrets, text}
    found = [each for each in secrets if any(each in said for said in [s.agent.stderr, *errors])]
    assert not found, f"said: {found[0]}"
    for request in s.server.requests:
        mine = [each for each in secrets if each in request.target]
        allowed = request.query.get("ticket")
        assert mine in ([], [allowed]), f"in a URL: {request.target}"


def _wall(name: str, seconds: float, what: str) -> None:
    async def play(s: Stage) -> None:
        s.server.hello["pingSeconds"] = 7200
        await s.agent.do("wall", seconds=seconds if name.startswith("wrong") else 0)
        await s.online()
        await s.agent.do("wall", seconds=seconds)
        await s.agent.advance(3600)
        socket = s.server.open_sockets[-1]
        socket.cut()
        await s.next_socket()
        assert not s.server.asked(REFRESH), f"{len(s.server.asked(REFRESH))} refreshes"
        assert len(s.server.asked(LOGIN)) == 1, f"{len(s.server.asked(LOGIN))} log-ins"
        await s.agent.do("wall", seconds=0)
        await s.agent.advance(DAY - 3600 - 200, until=lambda: bool(s.server.asked(REFRESH)))
        await s.agent.quiet()
        assert len(s.server.asked(REFRESH)) == 1, f"{len(s.server.asked(REFRESH))} refreshes"

    play.__name__ = f"c8_{name}"
    case(what)(play)


@case("a stored session is used with a wall clock that is 100 days ahead")
async def c8_wrong_clock_at_a_restart(s: Stage) -> None:
    store = {"kind": "memory", "name": "kept"}
    await s.online(store=store)
    await s.agent.do("stop")
    await s.agent.do("wall", seconds=100 * DAY)
    await s.open(store=store)
    await s.start()
    await s.server.socket()
    await s.agent.advance(3600)
    assert len(s.server.asked(LOGIN)) == 1, "it logged in anew"
    assert len(s.server.asked(REFRESH)) <= 1, f"{len(s.server.asked(REFRESH))} refreshes"


for _code in SESSION_ENDS:
    _ends(_code)
_stays("429", refuse(429, "rate_limited", retry_after=3, header=3), "refresh refused with 429: the session stays")
_stays("503", refuse(503, "unavailable", retry_after=1, header=1), "refresh refused with 503: the session stays")
_stays("500", refuse(500, "internal"), "refresh refused with 500: the session stays")
_stays("no_json", answer(200, "<html>Log in to this network</html>"), "refresh answered with a page: the session stays")
_stays("no_tokens", answer(200, {"success": True}), "refresh answered without tokens: the session stays")
_stays("unreachable", lost_request, "refresh without an answer: the session stays")
_wall("ahead", 100 * DAY, "the wall clock jumps 100 days ahead: no refresh, no log-in")
_wall("behind", -100 * DAY, "the wall clock jumps 100 days back: no refresh, no log-in")
_wall("wrong_ahead", 400 * DAY, "a wall clock that is wrong from the start, ahead")
_wall("wrong_behind", -400 * DAY, "a wall clock that is wrong from the start, behind")
