"""C17–C26: from the text to its answer."""

from typing import Any, Final

from tools.conformance.agents import answer_of, failure
from tools.conformance.case import ASHA, EVE, RAVI, Stage, case, receipt
from tools.conformance.server import error
from tools.conformance.wire import Frame, Socket

HALF_A_PAIR: Final = "cut \ud83d"
FINAL_CODES: Final = (
    *("bad_frame", "bad_mobile", "bad_message_id", "message_empty", "message_too_large", "self_message"),
    *("no_such_person", "message_id_reused", "forbidden", "a_code_of_tomorrow"),
)
RETRYABLE_CODES: Final = (
    *("rate_limited", "mailbox_full", "storage_full", "unavailable", "internal", "too_many_requests"),
    "a_code_of_tomorrow",
)


async def manual(s: Stage, **options: Any) -> Socket:
    """Online, and the case answers the chats."""
    s.server.answers_chats = False
    return await s.online(**options)


async def post(s: Stage, text: str, to: str = RAVI) -> None:
    """Hand a message over; it is kept then."""
    await s.agent.do("post", to=to, text=text)


def texts(socket: Socket) -> list[str]:
    """The texts of the chats that the client sent on this socket."""
    return [each["message"] for each in socket.of("chat")]


# ---- C17


@case("kept before it is accepted and before it is sent")
async def c17_kept_first(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("holdStore", operation="add")
    sending = s.agent.begin_to("send", to=RAVI, text="keep me")
    posting = s.agent.begin_to("post", to=EVE, text="me, too")
    await s.agent.expect("store", operation="add")
    await s.agent.quiet()
    assert not socket.of("chat"), "sent before it was kept"
    assert [sending.done(), posting.done()] == [False, False], "accepted before it was kept"
    await s.agent.do("releaseStore", operation="add")
    await answer_of(sending, "send")
    await answer_of(posting, "post")


@case("what was accepted survives the end of the process")
async def c17_killed(s: Stage) -> None:
    store = s.file_store()
    socket = await manual(s, store=store)
    for n in range(3):
        await post(s, f"message {n}")
    await socket.expect("chat")
    await s.agent.kill()
    s.server.answers_chats = True
    again = await s.another_agent()
    await s.open(again, store=store)
    await s.start(again)
    socket = await s.server.socket()
    await socket.chats(3)
    assert texts(socket) == ["message 0", "message 1", "message 2"]


@case("messageIds are random: at least 122 bits")
async def c17_random_ids(s: Stage) -> None:
    await s.agent.do("luck", value=0.5)
    socket = await s.online()
    for n in range(20):
        await s.agent.do("send", to=RAVI, text=f"{n}")
    ids = [each["messageId"] for each in socket.of("chat")]
    assert len(set(ids)) == 20, "an id was used twice"
    assert all(len(each) >= 20 for each in ids), f"short ids: {ids[0]}"
    differing = [len({each[at] for each in ids}) for at in range(min(map(len, ids)))]
    assert sum(count > 1 for count in differing) >= 20, f"too much is the same in all ids: {ids[:2]}"


@case("the caller's own messageId is used")
async def c17_named(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("send", to=RAVI, text="mine", messageId="mine-1")
    assert (await socket.expect("chat"))["messageId"] == "mine-1"


@case("half a surrogate pair is replaced by U+FFFD before it is kept")
async def c17_surrogates(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("send", to=RAVI, text=HALF_A_PAIR)
    assert (await socket.expect("chat"))["message"] == "cut \ufffd"
    assert (await s.agent.expect("posted"))["text"] == "cut \ufffd"
    await s.agent.do("send", to=RAVI, text="whole \U0001f600")
    assert (await socket.expect("chat"))["message"] == "whole \U0001f600"


# ---- C18


def _refused(name: str, code: str, what: str, /, **message: Any) -> None:
    async def play(s: Stage) -> None:
        socket = await s.online()
        refused = await failure(s.agent.begin_to("send", **{"to": RAVI, "text": "x", **message}))
        assert refused.code == code, f"the code is {refused.code}"
        await s.agent.quiet()
        await s.agent.do("send", to=RAVI, text="the next one")
        assert texts(socket) == ["the next one"], f"sent: {texts(socket)}"

    play.__name__ = f"c18_{name}"
    case(what)(play)


@case("more bytes than maxMessageBytes of hello: message_too_large; bytes, not characters")
async def c18_limit_of_hello(s: Stage) -> None:
    s.server.hello["maxMessageBytes"] = 100
    socket = await s.online()
    refused = await failure(s.agent.begin_to("send", to=RAVI, text="é" * 51))
    assert refused.code == "message_too_large", f"the code is {refused.code}"
    await s.agent.do("send", to=RAVI, text="é" * 50)
    assert texts(socket) == ["é" * 50]


@case("16 KiB before the first hello")
async def c18_limit_before_hello(s: Stage) -> None:
    s.server.says_hello = False
    await s.open()
    await s.start()
    socket = await s.server.socket()
    refused = await failure(s.agent.begin_to("post", to=RAVI, text="x" * 16_385))
    assert refused.code == "message_too_large", f"the code is {refused.code}"
    await post(s, "x" * 16_384)
    s.server.welcome(socket)
    await socket.expect("chat")


@case("a text of white space, and one of 1 byte, are no empty texts")
async def c18_not_empty(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("send", to=RAVI, text=" ")
    await s.agent.do("send", to=RAVI, text="0")
    assert texts(socket) == [" ", "0"]


# ---- C19


@case("one message to a recipient is on the way; the next begins after its answer")
async def c19_one_at_a_time(s: Stage) -> None:
    socket = await manual(s)
    for n in range(4):
        await post(s, f"message {n}")
    for n in range(4):
        chat = await socket.expect("chat")
        assert chat["message"] == f"message {n}"
        await s.agent.quiet()
        assert len(socket.of("chat")) == n + 1, "the next began before the answer"
        s.server.answer(socket, chat)


@case("to several recipients at most 32 are on the way")
async def c19_thirty_two(s: Stage) -> None:
    socket = await manual(s)
    for n in range(40):
        await post(s, f"message {n}", str(919_900_000_000 + n))
    first = await socket.chats(32)
    await s.agent.quiet()
    assert len(socket.of("chat")) == 32, f"{len(socket.of('chat'))} are on the way"
    for chat in first:
        s.server.answer(socket, chat)
    await socket.chats(40)
    assert texts(socket) == [f"message {n}" for n in range(40)]


@case("the order stays, whatever is refused")
async def c19_order(s: Stage) -> None:
    socket = await manual(s)
    for n in range(6):
        await post(s, f"message {n}")
    accepted = []
    answers = ["retryable", "final", "sent", "retryable", "sent", "retryable", "final", "sent", "sent"]
    for kind in answers:
        chat = await socket.expect("chat")
        if kind == "sent":
            accepted.append(chat["message"])
            s.server.answer(socket, chat)
        elif kind == "final":
            s.server.refuse_chat(socket, chat, "no_such_person", retryable=False)
        else:
            seen = len(socket.of("chat"))
            s.server.refuse_chat(socket, chat, "rate_limited", retryable=True, retryAfter=0.5)
            await s.agent.quiet()
            await s.agent.advance(20, until=lambda seen=seen: len(socket.of("chat")) > seen)  # type: ignore[misc]
    assert accepted == ["message 1", "message 2", "message 4", "message 5"], f"accepted: {accepted}"


# ---- C20


@case("send resolves at sent, with the server's timestamp")
async def c20_timestamp(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="hello")
    chat = await socket.expect("chat")
    await s.agent.quiet()
    assert not sending.done(), "it resolved before the answer"
    timestamp = s.server.answer(socket, chat)
    message = await answer_of(sending, "send")
    assert (message["timestamp"], message["state"]) == (timestamp, "sent"), f"it is {message}"


@case("a receipt for a message that waits counts as sent")
async def c20_receipt(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="hello")
    chat = await socket.expect("chat")
    came = receipt("delivered", chat["messageId"])
    socket.send(came)
    await answer_of(sending, "send")
    await socket.acked(came["streamId"])
    s.server.answer(socket, chat)
    socket.cut()
    again = await s.next_socket()
    await s.agent.quiet()
    assert not again.of("chat"), "sent again although it was delivered"


@case("an answer for a message that nobody sent changes nothing")
async def c20_foreign_answer(s: Stage) -> None:
    socket = await manual(s)
    await post(s, "hello")
    chat = await socket.expect("chat")
    socket.send({"type": "sent", "messageId": "of-somebody", "to": RAVI, "timestamp": 1})
    socket.send({"type": "sent", "messageId": chat["messageId"], "to": EVE, "timestamp": 2})
    await s.agent.quiet()
    assert not s.agent.told("tick"), "another chat's answer was taken"
    s.server.answer(socket, chat)
    s.server.answer(socket, chat)
    await s.agent.expect("tick", state="sent")
    await s.agent.quiet()
    assert len(s.agent.told("tick")) == 1, "one answer counted twice"


# ---- C21


async def _unanswered(s: Stage) -> tuple[Socket, list[Frame]]:
    socket = await manual(s)
    for n, to in enumerate((RAVI, EVE, RAVI, EVE)):
        await post(s, f"message {n}", to)
    return socket, await socket.chats(2)


def _same(again: list[Frame], first: list[Frame]) -> None:
    names = [[(each["messageId"], each["message"], each["to"]) for each in some] for some in (again, first)]
    assert names[0] == names[1], f"sent again: {names[0]}, before: {names[1]}"


@case("after a reconnect: the same messageId and text, oldest first")
async def c21_reconnect(s: Stage) -> None:
    socket, first = await _unanswered(s)
    socket.cut()
    again = await s.next_socket()
    _same(await again.chats(2), first)


@case("after resync")
async def c21_resync(s: Stage) -> None:
    socket, first = await _unanswered(s)
    socket.send({"type": "resync", "epoch": "epoch-2", "reason": "storage"})
    await s.changes.until(lambda: len(socket.of("chat")) >= 4, lambda: f"sent again; sent: {texts(socket)}")
    _same(socket.of("chat")[2:], first)
    assert socket.code is None


@case("after a changed epoch")
async def c21_epoch(s: Stage) -> None:
    socket, first = await _unanswered(s)
    s.server.hello["epoch"] = "epoch-2"
    socket.cut()
    again = await s.next_socket()
    _same(await again.chats(2), first)


@case("a lost answer: the same again, and one answer for the caller")
async def c21_lost_answer(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="stored, not answered")
    first = await socket.expect("chat")
    for _ in range(3):
        socket.cut()
        socket = await s.next_socket()
        chat = await socket.expect("chat")
        assert chat["messageId"] == first["messageId"]
    s.server.answer(socket, chat)
    await answer_of(sending, "send")
    assert len(s.agent.told("tick", state="sent")) == 1


@case("a final answer before the cut is not asked for again")
async def c21_answered_is_not_sent(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("send", to=RAVI, text="done")
    socket.cut()
    again = await s.next_socket()
    await s.agent.quiet()
    assert not again.of("chat")


# ---- C22


def _retryable(code: str) -> None:
    async def play(s: Stage) -> None:
        socket = await manual(s)
        sending = s.agent.begin_to("send", to=RAVI, text="later")
        chat = await socket.expect("chat")
        s.server.refuse_chat(socket, chat, code, retryable=True)
        await s.agent.quiet()
        await s.agent.advance(2.5, until=lambda: len(socket.of("chat")) > 1)
        again = socket.of("chat")[1]
        assert again["messageId"] == chat["messageId"]
        s.server.answer(socket, again)
        await answer_of(sending, "send")
        assert not s.agent.told("failed")

    play.__name__ = f"c22_{code}"
    case(f"{code}, retryable: the same again")(play)


@case("retryAfter holds the recipient; others go on; the order stays")
async def c22_held(s: Stage) -> None:
    socket = await manual(s)
    await post(s, "first")
    chat = await socket.expect("chat")
    s.server.refuse_chat(socket, chat, "rate_limited", retryable=True, retryAfter=6)
    await post(s, "second")
    await post(s, "to another", EVE)
    await socket.expect("chat", to=EVE)
    await s.agent.advance(5.5)
    await s.agent.quiet()
    assert texts(socket) == ["first", "to another"], f"sent within retryAfter: {texts(socket)}"
    await s.agent.advance(8, until=lambda: len(socket.of("chat")) > 2)
    assert texts(socket)[2] == "first"
    s.server.answer(socket, socket.of("chat")[2])
    await socket.expect("chat", message="second")


@case("longer each time, up to about a minute")
async def c22_longer(s: Stage) -> None:
    socket = await manual(s)
    await post(s, "again and again")
    waits = []
    for count in range(1, 10):
        await socket.chats(count)
        s.server.refuse_chat(socket, socket.of("chat")[-1], "mailbox_full", retryable=True)
        await s.agent.quiet()
        waits.append(await s.agent.advance(130, until=lambda count=count: len(socket.of("chat")) > count))  # type: ignore[misc]
    assert waits[0] < 3, f"the first wait is {waits[0]}"
    assert max(waits[6:]) > 15, f"it does not wait longer each time: {waits}"
    assert max(waits) < 76, f"it waits too long: {waits}"


# ---- C23


def _final(code: str) -> None:
    async def play(s: Stage) -> None:
        socket = await manual(s)
        sending = s.agent.begin_to("send", to=RAVI, text="never")
        chat = await socket.expect("chat")
        await post(s, "the next")
        s.server.refuse_chat(socket, chat, code, retryable=False)
        refused = await failure(sending)
        assert refused.code == code, f"the code is {refused.code}"
        told = await s.agent.expect("failed")
        assert (told["id"], told["error"]["code"]) == (chat["messageId"], code), f"told: {told}"
        await socket.expect("chat", message="the next")
        await s.agent.quiet()
        assert texts(socket).count("never") == 1, "sent again"

    play.__name__ = f"c23_{code}"
    case(f"{code}, not retryable: failed, and the next goes on")(play)


# ---- C24


async def _failed(s: Stage, code: str) -> tuple[Socket, Frame]:
    socket = await manual(s)
    await post(s, "once more")
    chat = await socket.expect("chat")
    s.server.refuse_chat(socket, chat, code, retryable=False)
    await s.agent.expect("failed")
    await s.agent.quiet()
    await s.agent.advance(30)
    assert len(socket.of("chat")) == 1, "it was repeated by itself"
    await s.agent.do("retry", messageId=chat["messageId"])
    return socket, chat


@case("after message_id_reused a retry gets a new messageId")
async def c24_reused(s: Stage) -> None:
    socket, chat = await _failed(s, "message_id_reused")
    again = await socket.expect("chat", message="once more")
    if again is chat:
        again = await socket.expect("chat", message="once more")
    assert again["messageId"] != chat["messageId"], "the old id again"


@case("after any other failure a retry has the old messageId")
async def c24_others(s: Stage) -> None:
    socket, chat = await _failed(s, "no_such_person")
    await s.changes.until(lambda: len(socket.of("chat")) == 2, lambda: "the retry")
    assert socket.of("chat")[1]["messageId"] == chat["messageId"]


@case("what is discarded is gone")
async def c24_discarded(s: Stage) -> None:
    socket = await manual(s)
    await post(s, "not wanted")
    chat = await socket.expect("chat")
    s.server.refuse_chat(socket, chat, "no_such_person", retryable=False)
    await s.agent.expect("failed")
    await s.agent.do("discard", messageId=chat["messageId"])
    socket.cut()
    again = await s.next_socket()
    await s.agent.quiet()
    assert not again.of("chat")


# ---- C25


@case("retryable and without a name: sending pauses for retryAfter")
async def c25_pause(s: Stage) -> None:
    socket = await manual(s)
    await post(s, "one")
    await socket.expect("chat")
    socket.send(error("unavailable", retryable=True, retryAfter=5))
    await s.agent.quiet()
    await post(s, "two", EVE)
    await s.agent.advance(4)
    await s.agent.quiet()
    assert texts(socket) == ["one"], f"sent within the pause: {texts(socket)}"
    await s.agent.advance(3, until=lambda: "two" in texts(socket))
    again = [each for each in socket.of("chat") if each["message"] == "one"]
    for each in socket.of("chat"):
        s.server.answer(socket, each)
    await s.agent.quiet()
    assert len({each["messageId"] for each in again}) == 1


@case("final and without a name: one at a time, and the one that is refused has failed")
async def c25_one_at_a_time(s: Stage) -> None:
    socket = await manual(s)
    for n, to in enumerate((RAVI, EVE, "919800000009")):
        await post(s, f"message {n}", to)
    await socket.chats(3)
    socket.send(error("bad_json", retryable=False, component="frame"))
    for n in range(3):
        await socket.chats(4 + n)
        await s.agent.quiet()
        assert len(socket.of("chat")) == 4 + n, f"more than one on the way: {texts(socket)}"
        assert texts(socket)[-1] == f"message {n}"
        assert len(socket.batches[-1]) == 1, "one frame a message"
        if n == 1:
            socket.send(error("bad_json", retryable=False, component="frame"))
        else:
            s.server.answer(socket, socket.of("chat")[-1])
    told = await s.agent.expect("failed")
    assert told["text"] == "message 1", f"failed: {told}"
    assert told["error"]["code"] == "bad_json"
    assert len(s.agent.told("failed")) == 1


# ---- C26


@case("no answer within 10 s: the connection is given up, and the message sent again")
async def c26_no_answer(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="hello?")
    first = await socket.expect("chat")
    await s.agent.advance(8.5)
    assert socket.code is None, "given up too early"
    await s.agent.advance(3, until=lambda: socket.code is not None)
    again = await s.next_socket()
    chat = await again.expect("chat")
    assert chat["messageId"] == first["messageId"]
    s.server.answer(again, chat)
    await answer_of(sending, "send")


@case("after five connections without an answer: no_answer; after the second it is sent alone")
async def c26_five_times(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="poison")
    await socket.expect("chat", message="poison")
    await post(s, "to another", EVE)
    await socket.expect("chat", message="to another")
    for number in range(1, 6):
        assert "poison" in texts(socket), f"connection {number}: {texts(socket)}"
        if number > 2:
            await s.agent.quiet()
            assert texts(socket) == ["poison"], f"connection {number}, not alone: {texts(socket)}"
        await s.agent.advance(12, until=lambda socket=socket: socket.code is not None)  # type: ignore[misc]
        socket = await s.next_socket(60)
        if number < 5:
            await socket.expect("chat", message="poison")
    refused = await failure(sending)
    assert refused.code == "no_answer", f"the code is {refused.code}"
    await s.agent.expect("failed")
    await socket.expect("chat", message="to another")
    assert "poison" not in texts(socket)


@case("1002, 1007, 1009 and 4503 count, too; after 4503 a person decides")
async def c26_closes_that_count(s: Stage) -> None:
    socket = await manual(s)
    await post(s, "poison")
    for code in (1009, 1007, 1002, 4503, 1009):
        await socket.expect("chat", message="poison")
        socket.close(code)
        if code == 4503:
            await s.in_state("stopped")
            await s.agent.do("connectNow")
        socket = await s.next_socket()
    told = await s.agent.expect("failed", text="poison")
    assert told["error"]["code"] == "no_answer", f"told: {told}"
    assert not socket.of("chat")


@case("other ends do not count, however many")
async def c26_other_ends(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="patient")
    for code in (None, 1001, 4001, 4002, 4003, 4004, 4012, 1006):
        await socket.expect("chat", message="patient")
        if code == 1006:
            socket.cut()
        else:
            socket.close(code)
        socket = await s.next_socket(60)
    chat = await socket.expect("chat", message="patient")
    assert not sending.done(), "it failed"
    s.server.answer(socket, chat)
    await answer_of(sending, "send")


@case("a late answer, after the message was sent again, counts")
async def c26_late_answer(s: Stage) -> None:
    socket = await manual(s)
    sending = s.agent.begin_to("send", to=RAVI, text="late")
    chat = await socket.expect("chat")
    await s.agent.advance(8)
    s.server.answer(socket, chat)
    await answer_of(sending, "send")
    await s.agent.advance(8)
    await s.agent.quiet()
    assert socket.code is None, "the connection was given up although the answer came"


for _code in RETRYABLE_CODES:
    _retryable(_code)
for _code in FINAL_CODES:
    _final(_code)
_refused("empty", "message_empty", "an empty text", text="")
_refused("to_oneself", "self_message", "a message to oneself", to=ASHA)
_refused("id_with_space", "bad_message_id", "a messageId with a space", messageId="a b")
_refused("id_empty", "bad_message_id", "an empty messageId", messageId="")
_refused("id_too_long", "bad_message_id", "a messageId of 129 characters", messageId="x" * 129)
_refused("id_not_ascii", "bad_message_id", "a messageId with é", messageId="é")
_refused("too_large", "message_too_large", "more than 16 KiB", text="x" * 16_385)
