"""C27–C35: from the socket to the handler, the store, the acknowledgement and the event."""

from tools.conformance.case import ASHA, EVE, RAVI, Stage, case, chat, receipt, stream_id
from tools.conformance.wire import Frame, Socket


def own(text: str, message_id: str, to: str = RAVI) -> Frame:
    """A chat that another device of the person sent."""
    at = stream_id()
    timestamp = int(at.split("-")[0])
    return {
        "type": "own",
        "to": to,
        "messageId": message_id,
        "message": text,
        "timestamp": timestamp,
        "streamId": at,
    }


def own_read(*message_ids: str, sender: str = RAVI) -> Frame:
    """Chats that were read on another device of the person."""
    at = stream_id()
    ids = list(message_ids)
    return {"type": "ownRead", "from": sender, "messageIds": ids, "timestamp": 1, "streamId": at}


# ---- C27


@case("the handler has returned, then the store, then the ack, then the event")
async def c27_order(s: Stage) -> None:
    socket = await s.online(handler="hold")
    await s.agent.do("holdStore", operation="apply")
    came = chat("hello")
    socket.send(came)
    await s.agent.expect("handling")
    await s.agent.quiet()
    assert not s.agent.told("store"), "applied while the handler has it"
    assert not socket.acknowledged(), "acknowledged while the handler has it"
    await s.agent.do("handled")
    await s.agent.expect("store", operation="apply")
    await s.agent.quiet()
    assert not socket.acknowledged(), "acknowledged before it is kept"
    assert not s.agent.told("message"), "told before it is kept"
    await s.agent.do("releaseStore", operation="apply")
    await socket.acked(came["streamId"])
    told = await s.agent.expect("message")
    assert (told["peer"], told["text"], told["id"]) == (RAVI, "hello", came["messageId"]), f"told: {told}"


@case("messages() acknowledges when the next one is asked for")
async def c27_iterator(s: Stage) -> None:
    socket = await s.online()
    asking = s.agent.begin_to("next")
    await s.agent.quiet()
    one, two = chat("one"), chat("two")
    socket.send(one)
    socket.send(two)
    assert (await s.agent.do("settle", seconds=0.01)) is None
    await s.changes.until(asking.done, lambda: "the first message")
    assert asking.result()["text"] == "one"
    await s.agent.quiet()
    assert not socket.acknowledged(), "acknowledged while the program has it"
    following = s.agent.begin_to("next")
    await socket.acked(one["streamId"])
    await s.changes.until(following.done, lambda: "the second message")
    assert following.result()["text"] == "two"
    assert two["streamId"] not in socket.acknowledged()


@case("a crash while the handler has it: it comes again")
async def c27_killed_in_the_handler(s: Stage) -> None:
    store = s.file_store()
    socket = await s.online(store=store, handler="hold")
    came = chat("precious")
    socket.send(came)
    await s.agent.expect("handling")
    await s.agent.kill()
    again = await s.another_agent()
    await s.open(again, store=store, handler="ok")
    await s.start(again)
    socket = await s.server.socket()
    socket.send(came)
    await again.expect("handling", text="precious")
    await socket.acked(came["streamId"])


@case("after the ack a restart knows it again")
async def c27_kept_when_acknowledged(s: Stage) -> None:
    store = s.file_store()
    socket = await s.online(store=store, handler="ok")
    came = chat("once")
    socket.send(came)
    await socket.acked(came["streamId"])
    await s.agent.kill()
    again = await s.another_agent()
    await s.open(again, store=store, handler="ok")
    await s.start(again)
    socket = await s.server.socket()
    socket.send(came)
    await socket.acked(came["streamId"])
    await again.quiet()
    assert not again.told("handling"), "handed over twice"


# ---- C28


@case("a handler that fails: stopped, nothing acknowledged, nothing behind it handed over; it comes again")
async def c28_fails(s: Stage) -> None:
    socket = await s.online(handler="fail")
    one, two = chat("one"), chat("two")
    socket.send(one, two)
    socket.send(chat("three"))
    state = await s.in_state("stopped")
    assert state["code"] == "handler_failed", f"the state is {state}"
    await socket.ended()
    assert not socket.acknowledged(), f"acknowledged: {socket.acknowledged()}"
    assert await s.handed(1) == ["one"]
    assert len(s.agent.told("handling")) == 1, "more was handed over"
    assert not s.agent.told("message")
    await s.never_again()
    await s.agent.do("handler", mode="ok")
    await s.agent.do("connectNow")
    again = await s.server.socket()
    again.send(one, two)
    await again.acked(one["streamId"], two["streamId"])
    assert await s.handed(3) == ["one", "one", "two"]


# ---- C29


@case("acknowledged each time it comes, handed over once")
async def c29_each_time(s: Stage) -> None:
    socket = await s.online(handler="ok")
    came = chat("hello")
    socket.send(came)
    await socket.acked(came["streamId"])
    socket.send(came)
    await socket.acked(came["streamId"], times=2)
    socket.cut()
    again = await s.next_socket()
    again.send(came | {"mode": "offline"}, chat("behind it"))
    await again.acked(came["streamId"])
    assert await s.handed(2) == ["hello", "behind it"]
    assert len(s.agent.told("message")) == 2 or len(await s.told("message", 2)) == 2


@case("also receipts, own and ownRead")
async def c29_other_entries(s: Stage) -> None:
    socket = await s.online(handler="ok")
    await s.agent.do("send", to=RAVI, text="hello")
    [mine] = socket.of("chat")
    entries = [receipt("delivered", mine["messageId"]), own("from the tablet", "tablet-1"), own_read("m-1")]
    for times in (1, 2):
        for entry in entries:
            socket.send(entry)
        await socket.acked(*(entry["streamId"] for entry in entries), times=times)
    await s.agent.expect("own", text="from the tablet")
    assert len(s.agent.told("own")) == 1, "told twice"
    assert len(s.agent.told("tick", state="delivered")) == 1, "told twice"


@case("what is in the handler's hands is neither acknowledged nor handed over twice")
async def c29_in_hand(s: Stage) -> None:
    socket = await s.online(handler="hold")
    came = chat("slow")
    socket.send(came)
    await s.agent.expect("handling")
    socket.send(came)
    await s.agent.quiet()
    socket.cut()
    again = await s.next_socket()
    again.send(came)
    await s.agent.quiet()
    assert len(s.agent.told("handling")) == 1, "handed over twice"
    assert [socket.acknowledged(), again.acknowledged()] == [[], []], "acknowledged in the handler's hands"
    await s.agent.do("handled")
    await again.acked(came["streamId"])
    again.send(chat("next"))
    await s.agent.expect("handling", text="next")
    assert [each["text"] for each in s.agent.told("handling")] == ["slow", "next"]


# ---- C30


@case("known by from, messageId and text, with another streamId")
async def c30_other_stream_id(s: Stage) -> None:
    socket = await s.online(handler="ok")
    one = chat("hello", message_id="m-1")
    again = chat("hello", message_id="m-1")
    socket.send(one)
    socket.send(again)
    await socket.acked(one["streamId"], again["streamId"])
    assert len(s.agent.told("handling")) == 1, "handed over twice"


@case("twice in one array: handed over once")
async def c30_within_an_array(s: Stage) -> None:
    socket = await s.online(handler="ok")
    one = chat("hello", message_id="m-1")
    socket.send(one, one, chat("hello", message_id="m-1"))
    await socket.acked(one["streamId"])
    await s.agent.quiet()
    assert len(s.agent.told("handling")) == 1, "handed over twice"


@case("the same messageId with another text is another chat")
async def c30_other_text(s: Stage) -> None:
    socket = await s.online(handler="ok")
    one, other = chat("first text", message_id="1"), chat("second text", message_id="1")
    socket.send(one)
    socket.send(other)
    await socket.acked(one["streamId"], other["streamId"])
    assert await s.handed(2) == ["first text", "second text"]
    assert len(await s.told("message", 2)) == 2


@case("the same messageId and text of somebody else is another chat")
async def c30_other_sender(s: Stage) -> None:
    socket = await s.online(handler="ok")
    socket.send(chat("hi", message_id="1"), chat("hi", EVE, message_id="1"))
    assert await s.handed(2) == ["hi", "hi"]


@case("known after a restart, too")
async def c30_after_a_restart(s: Stage) -> None:
    store = s.file_store()
    socket = await s.online(store=store, handler="ok")
    one = chat("hello", message_id="m-1")
    socket.send(one)
    await socket.acked(one["streamId"])
    await s.agent.do("stop")
    again = await s.another_agent()
    await s.open(again, store=store, handler="ok")
    await s.start(again)
    socket = await s.server.socket()
    same, other = chat("hello", message_id="m-1"), chat("another", message_id="m-1")
    socket.send(same, other)
    await socket.acked(same["streamId"], other["streamId"])
    assert [each["text"] for each in again.told("handling")] == ["another"]


# ---- C31


@case("an array in disorder is handed over by streamId")
async def c31_reordered(s: Stage) -> None:
    socket = await s.online(handler="ok")
    places = ["9-0", "10-0", "10-2", "10-10", "1000-0"]
    chats = [chat(at, at=at, message_id=f"m-{at}") for at in places]
    socket.send(chats[3], chats[4], chats[0], chats[2], chats[1])
    await socket.acked(*places)
    assert await s.handed(5) == places, f"handed over: {await s.handed(5)}"


@case("a lower streamId than before is handed over all the same")
async def c31_lower(s: Stage) -> None:
    socket = await s.online(handler="ok")
    late, early = chat("late", at="2000-0"), chat("early", at="1000-0")
    socket.send(late)
    await socket.acked("2000-0")
    socket.send(early)
    await socket.acked("1000-0")
    assert await s.handed(2) == ["late", "early"]


@case("an array whose handler is cut off by a crash is not half acknowledged")
async def c31_whole_array(s: Stage) -> None:
    socket = await s.online(handler="ok")
    await s.agent.do("holdStore", operation="apply")
    many = [chat(f"{n}") for n in range(5)]
    socket.send(*many, receipt("delivered", "unknown"))
    await s.agent.expect("store", operation="apply")
    await s.agent.quiet()
    assert not socket.acknowledged()
    await s.agent.do("releaseStore", operation="apply")
    await socket.acked(*(each["streamId"] for each in many))
    assert await s.handed(5) == [f"{n}" for n in range(5)]


# ---- C32


@case("one array, one acknowledgement")
async def c32_joined(s: Stage) -> None:
    socket = await s.online(handler="ok")
    many = [chat(f"{n}") for n in range(30)]
    socket.send(*many)
    await socket.acked(*(each["streamId"] for each in many))
    assert len(socket.of("ack")) == 1, f"{len(socket.of('ack'))} frames"


@case("at most 1,000 ids in each")
async def c32_thousand(s: Stage) -> None:
    socket = await s.online(handler="ok")
    many = [receipt("delivered", "m") for _ in range(1_600)]
    socket.send(*many)
    await socket.acked(*(each["streamId"] for each in many))
    counts = [len(each["streamIds"]) for each in socket.of("ack")]
    assert max(counts) <= 1_000, f"frames of {counts}"
    assert len(counts) <= 3, f"frames of {counts}"


# ---- C33


@case("ticks only go forward")
async def c33_forward(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("send", to=RAVI, text="hello")
    [mine] = socket.of("chat")
    kinds = ["expired", "delivered", "expired", "read", "delivered", "expired", "read"]
    entries = [receipt(kind, mine["messageId"]) for kind in kinds]
    for entry in entries:
        socket.send(entry)
    s.server.answer(socket, mine)
    await socket.acked(*(entry["streamId"] for entry in entries))
    await s.agent.quiet()
    ticks = [each["state"] for each in s.agent.told("tick")]
    assert ticks == ["sent", "expired", "delivered", "read"], f"the ticks are {ticks}"


@case("a receipt for several chats raises those that it raises")
async def c33_several(s: Stage) -> None:
    socket = await s.online()
    for n in range(3):
        await s.agent.do("send", to=RAVI, text=f"{n}", messageId=f"m-{n}")
    socket.send(receipt("read", "m-0"))
    socket.send(receipt("delivered", "m-0", "m-1", "m-2"))
    await s.agent.expect("tick", state="read")
    told = await s.agent.expect("tick", state="delivered")
    assert list(told["ids"]) == ["m-1", "m-2"], f"raised: {told['ids']}"


@case("a receipt that comes before its own is kept for it")
async def c33_before_own(s: Stage) -> None:
    socket = await s.online()
    early = receipt("read", "tablet-1")
    socket.send(early)
    await socket.acked(early["streamId"])
    copy = own("from the tablet", "tablet-1")
    socket.send(copy)
    await socket.acked(copy["streamId"])
    told = await s.agent.expect("own")
    ticks = s.agent.told("tick", state="read")
    assert told["state"] == "read" or ticks, f"told: {told}"
    late = receipt("delivered", "tablet-1")
    socket.send(late)
    await socket.acked(late["streamId"])
    await s.agent.quiet()
    assert not s.agent.told("tick", state="delivered"), "it went back"


# ---- C34


@case("read is sent only when the program says so")
async def c34_only_when_told(s: Stage) -> None:
    socket = await s.online(handler="ok")
    came = chat("hello")
    socket.send(came)
    await socket.acked(came["streamId"])
    await s.agent.quiet()
    assert not socket.of("ack", ackType="read"), "read by itself"
    await s.agent.do("markRead", peer=RAVI, messageIds=[came["messageId"]])
    told = await socket.expect("ack", ackType="read")
    assert (told["to"], told["messageIds"]) == (RAVI, [came["messageId"]])


@case("at most 100 ids a frame")
async def c34_hundred(s: Stage) -> None:
    socket = await s.online(handler="ok")
    many = [chat(f"{n}") for n in range(230)]
    for start in range(0, 230, 115):
        socket.send(*many[start : start + 115])
    await socket.acked(*(each["streamId"] for each in many))
    ids = [each["messageId"] for each in many]
    await s.agent.do("markRead", peer=RAVI, messageIds=ids)

    def told() -> list[list[str]]:
        return [each["messageIds"] for each in socket.of("ack", ackType="read")]

    await s.changes.until(lambda: sum(map(len, told())) >= 230, lambda: f"230 ids; {list(map(len, told()))}")
    assert max(map(len, told())) <= 100, f"frames of {list(map(len, told()))}"
    assert sorted(each for some in told() for each in some) == sorted(ids)


@case("without a connection it is sent after the next hello")
async def c34_while_away(s: Stage) -> None:
    socket = await s.online(handler="ok")
    came = chat("hello")
    socket.send(came)
    await socket.acked(came["streamId"])
    socket.cut()
    await s.agent.expect("state", name="pausing")
    await s.agent.do("markRead", peer=RAVI, messageIds=[came["messageId"]])
    again = await s.next_socket()
    assert (await again.expect("ack", ackType="read"))["messageIds"] == [came["messageId"]]


@case("a read that was refused for now is sent again as a whole, although the refusal names it in part")
async def c34_refused(s: Stage) -> None:
    socket = await s.online(handler="ok")
    came = [chat("one"), chat("two")]
    socket.send(*came)
    await socket.acked(*(each["streamId"] for each in came))
    ids = [each["messageId"] for each in came]
    await s.agent.do("markRead", peer=RAVI, messageIds=ids)
    await socket.expect("ack", ackType="read")
    error = {"code": "unavailable", "message": "Try again.", "retryable": True, "retryAfter": 2}
    socket.send({"type": "error", "component": "ack", **error, "to": RAVI, "messageIds": ids[:1]})
    await s.changes.until(lambda: len(socket.of("ack", ackType="read")) >= 2, lambda: "it was not sent again")
    assert sorted(socket.of("ack", ackType="read")[1]["messageIds"]) == sorted(ids)


# ---- C35


@case("resync: streamIds are forgotten, chats are not")
async def c35_resync(s: Stage) -> None:
    socket = await s.online(handler="ok")
    one = chat("before", at="5000-0", message_id="m-1")
    socket.send(one)
    await socket.acked("5000-0")
    socket.send({"type": "resync", "epoch": "epoch-2", "reason": "storage"})
    await s.agent.expect("resync")
    await _same_place_again(s, socket)


@case("a hello with another epoch: the same")
async def c35_epoch(s: Stage) -> None:
    socket = await s.online(handler="ok")
    one = chat("before", at="5000-0", message_id="m-1")
    socket.send(one)
    await socket.acked("5000-0")
    s.server.hello["epoch"] = "epoch-2"
    socket.cut()
    await _same_place_again(s, await s.next_socket())


async def _same_place_again(s: Stage, socket: Socket) -> None:
    known, fresh = chat("before", at="4000-0", message_id="m-1"), chat("after", at="5000-0", message_id="m-2")
    socket.send(known)
    socket.send(fresh)
    await socket.acked("4000-0", "5000-0")
    assert await s.handed(2) == ["before", "after"], f"handed over: {await s.handed(2)}"
    await s.agent.quiet()
    assert len(s.agent.told("handling")) == 2, "a known chat was handed over twice"


@case("an epoch that changed while the process was away")
async def c35_epoch_after_a_restart(s: Stage) -> None:
    store = s.file_store()
    socket = await s.online(store=store, handler="ok")
    socket.send(chat("before", at="5000-0", message_id="m-1"))
    await socket.acked("5000-0")
    await s.agent.do("stop")
    s.server.hello["epoch"] = "epoch-2"
    again = await s.another_agent()
    await s.open(again, store=store, handler="ok")
    await s.start(again)
    socket = await s.server.socket()
    socket.send(chat("after", at="5000-0", message_id="m-2"))
    await socket.acked("5000-0")
    assert [each["text"] for each in again.told("handling")] == ["after"]


@case("the same epoch: streamIds are remembered")
async def c35_same_epoch(s: Stage) -> None:
    socket = await s.online(handler="ok")
    socket.send(chat("before", at="5000-0", message_id="m-1"))
    await socket.acked("5000-0")
    socket.cut()
    again = await s.next_socket()
    again.send(chat("before", at="5000-0", message_id="m-1") | {"to": ASHA})
    await again.acked("5000-0")
    await s.agent.quiet()
    assert len(s.agent.told("handling")) == 1
