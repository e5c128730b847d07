"""``whatsapp-mini listen``: everything that comes, a line of JSON each. What was not printed is not acknowledged."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from whatsapp_mini import Client, Events, LoggedOut, Stopped, events
from whatsapp_mini.store import Store
from whatsapp_mini.terminal.accounts import Account
from whatsapp_mini.terminal.output import Output, OutputClosedError
from whatsapp_mini.terminal.passing import taking
from whatsapp_mini.terminal.sending import answer
from whatsapp_mini.terminal.storing import Journal, Line, Printing

Make = Callable[[Store], Client]


async def listen(account: Account, store: Store, make: Make, watched: Sequence[str], stop: asyncio.Event) -> None:
    """Print until ``stop`` is set, nobody reads any more, or the client does not go on by itself.

    :param make: a client on a store, not started
    :param watched: numbers whose presence is printed, too
    :raises Ended: the client has stopped, or is logged out
    :raises OutputClosedError: standard output cannot be written, but for a reader who has gone
    """
    output = await Output.open()
    journal = Journal(account.file.with_suffix(".printing"))
    printing = Printing(store, journal, output.line)
    client = make(printing)
    client.on_message(printing.show_message)
    try:
        if journal.left:  # on the same pipe the killed process may have left half a line, which this one spoils
            await output.line({"event": "state", "state": "off"})
        await printing.show_left()
        happening = client.events()
        await client.start(wait=False)
        client.watch(list(watched))
        async with taking(account.socket, lambda to, text, message_id: answer(client, to, text, message_id)):
            await _first_of(stop.wait(), output.closed.wait(), _print_events(happening, output))
    except OutputClosedError as closed:
        if str(closed):
            raise
    finally:
        await client.stop(1)


async def _print_events(happening: Events, output: Output) -> None:
    async for event in happening:
        if (line := _line(event)) is not None:
            await output.line(line)
        if isinstance(event, events.StateChanged) and event.state.name in ("stopped", "loggedOut"):
            if output.closed.is_set():
                return  # that is why
            ended = LoggedOut if event.state.name == "loggedOut" else Stopped
            raise ended(event.state.code or "", event.state.reason or "")


def _line(event: events.Event) -> Line | None:
    match event:
        case events.StateChanged(state):
            return {"event": "state", "state": state.name} | ({"code": state.code} if state.code else {})
        case events.Typing(peer, active):
            return {"event": "typing", "from": peer, "active": active}
        case events.Presence(mobile_no, online, last_seen):
            seen = {"lastSeen": last_seen} if last_seen is not None else {}
            return {"event": "presence", "mobileNo": mobile_no, "online": online} | seen
        case events.Notice(code, message):
            return {"event": "notice", "code": code, "message": message}
    return None


async def _first_of(*ways: Coroutine[Any, Any, Any]) -> None:
    """Wait for the first that ends, and end the others; what it raised is raised."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
