"""C39 and C40: stop()."""

from tools.conformance.agents import answer_of, failure
from tools.conformance.case import RAVI, Stage, case, chat


@case("waits for the answer to what is on the way, and closes with 1000")
async def c39_waits_for_the_answer(s: Stage) -> None:
    socket = await s.online()
    s.server.answers_chats = False
    sending = s.agent.begin_to("send", to=RAVI, text="on the way")
    on_the_way = await socket.expect("chat")
    stopping = s.agent.begin_to("stop")
    await s.agent.quiet()
    await s.agent.advance(5)
    assert not stopping.done(), "it did not wait"
    assert socket.code is None, "it did not wait"
    s.server.answer(socket, on_the_way)
    await answer_of(sending, "send")
    await answer_of(stopping, "stop")
    assert await socket.ended() == 1000
    assert s.state["name"] == "off"


@case("waits until what was handed over is acknowledged")
async def c39_waits_for_the_handler(s: Stage) -> None:
    socket = await s.online(handler="hold")
    came = chat("in hand")
    socket.send(came)
    await s.agent.expect("handling")
    stopping = s.agent.begin_to("stop")
    await s.agent.quiet()
    assert not stopping.done(), "it did not wait"
    await s.agent.do("handled")
    await answer_of(stopping, "stop")
    await socket.acked(came["streamId"])
    assert await socket.ended() == 1000


@case("waits no longer than it was told")
async def c39_no_longer(s: Stage) -> None:
    socket = await s.online()
    s.server.answers_chats = False
    sending = s.agent.begin_to("send", to=RAVI, text="never answered")
    await socket.expect("chat")
    stopping = s.agent.begin_to("stop", seconds=4)
    await s.agent.quiet()
    await s.agent.advance(3)
    assert not stopping.done()
    await s.agent.advance(2, until=stopping.done)
    await answer_of(stopping, "stop")
    assert await socket.ended() == 1000
    assert sending.done()


@case("leaves no timer, task or socket behind, also out of a pause")
async def c39_leaves_nothing(s: Stage) -> None:
    socket = await s.online(handler="ok")
    await s.agent.do("watch", mobileNos=[RAVI])
    await s.agent.do("typing", to=RAVI, active=True)
    socket.send(chat("hello"), {"type": "typing", "from": RAVI, "active": True})
    await s.handed(1)
    await s.agent.do("send", to=RAVI, text="hello")
    await s.agent.do("stop")
    await s.changes.until(lambda: not s.server.open_sockets, lambda: "the end of the socket")
    await s.agent.quiet()
    left = await s.agent.do("left")
    assert left == {"tasks": [], "timers": 0}, f"left: {left}"
    await s.never_again()


@case("stop ends a pause")
async def c39_out_of_a_pause(s: Stage) -> None:
    socket = await s.online()
    await s.agent.do("luck", value=0.999)
    socket.cut()
    await s.agent.expect("state", name="pausing")
    await s.agent.do("stop")
    left = await s.agent.do("left")
    assert left == {"tasks": [], "timers": 0}, f"left: {left}"
    await s.never_again()


@case("what waits in the store goes on waiting")
async def c39_what_waits(s: Stage) -> None:
    store = {"kind": "memory", "name": "kept"}
    s.server.says_hello = False
    await s.open(store=store)
    await s.start()
    await s.server.socket()
    await s.agent.do("post", to=RAVI, text="not yet")
    await s.agent.do("stop", seconds=0)
    s.server.says_hello = True
    await s.open(store=store)
    await s.start()
    socket = await s.server.socket()
    await socket.expect("chat", message="not yet")


@case("send fails with stopped; the message goes out at the next start")
async def c40_stopped(s: Stage) -> None:
    store = s.file_store()
    socket = await s.online(store=store)
    s.server.answers_chats = False
    sending = s.agent.begin_to("send", to=RAVI, text="kept")
    on_the_way = await socket.expect("chat")
    await s.agent.do("stop", seconds=0)
    refused = await failure(sending)
    assert refused.code == "stopped", f"the code is {refused.code}"
    s.server.answers_chats = True
    again = await s.another_agent()
    await s.open(again, store=store)
    await s.start(again)
    socket = await s.server.socket()
    assert (await socket.expect("chat"))["messageId"] == on_the_way["messageId"]
