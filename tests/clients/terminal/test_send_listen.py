"""``send`` and ``listen`` as scripts use them: processes, with the real product behind them."""

import asyncio
import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import termios
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from whatsapp_mini import Client, Message
from whatsapp_mini.sqlite_store import SqliteStore
from whatsapp_mini.store import Chat, Receipt
from whatsapp_mini.terminal.accounts import Accounts
from whatsapp_mini.terminal.output import Output
from whatsapp_mini.terminal.passing import Passed, taking
from whatsapp_mini.terminal.storing import Journal, Printing

from tests.clients.terminal.support import SECONDS, command, environment, talker
from tests.support.people import new_mobile, sign_up
from tests.support.processes import patient
from tests.support.stack import ServerGroup
from tests.support.waiting import until

Line = dict[str, Any]


class Script:
    """One run of the command, and the lines that it printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[Line] = []
        self.errors = ""
        self._reading = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = (await self.process.stderr.read()).decode()

    def of(self, event: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == event]

    async def prints(self, wanted: Callable[[Line], object]) -> Line:
        """The first line that is wanted, past or to come."""
        await until(lambda: any(wanted(line) for line in self.lines) or self.process.returncode, patient(SECONDS))
        found = [line for line in self.lines if wanted(line)]
        assert found, (self.lines, self.errors)
        return found[0]

    async def end(self, number: int = 0) -> int:
        """The exit code, after a signal if one is named."""
        if number and self.process.returncode is None:
            self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), patient(SECONDS))
        await asyncio.gather(*self._reading)
        return code


@asynccontextmanager
async def running(home: Path, url: str, *arguments: str, stdin: int = DEVNULL, **more: str) -> AsyncIterator[Script]:
    """A run that is killed at the latest when the test ends."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments), stdin=stdin, stdout=PIPE, stderr=PIPE, env=environment(home, url) | more
    )
    script = Script(process)
    try:
        yield script
    finally:
        if process.returncode is None:
            process.kill()
        await script.end()


@pytest.fixture
async def pair(product: ServerGroup) -> AsyncIterator[tuple[str, Client]]:
    """The number of somebody who uses scripts, and somebody who is online."""
    me, friend = await sign_up(product.url, "Bot"), await sign_up(product.url, "Asha")
    async with talker(product.url, friend.mobile) as client:
        yield me.mobile, client


async def test_a_message_of_the_command_line(product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, "hello") as script:
        message = await anext(friend.messages())
        assert await script.end() == 0, script.errors
    assert script.lines == [{"event": "sent", "id": message.id, "to": friend.mobile_no, "timestamp": message.timestamp}]
    assert (message.peer, message.text, script.errors) == (number, "hello", "")


async def test_messages_of_standard_input_keep_their_order(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    texts = [f"hello {n}" for n in range(30)]
    async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, stdin=PIPE) as script:
        assert script.process.stdin is not None
        script.process.stdin.write("\n".join([*texts, "", ""]).encode())
        script.process.stdin.close()
        messages = friend.messages()
        came = [(await anext(messages)).text for _ in texts]
        assert await script.end() == 0
    assert came == texts
    assert [line["event"] for line in script.lines] == ["sent"] * len(texts)


async def test_a_refusal_is_a_line_and_an_exit_code(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, _ = pair
    async with running(tmp_path, product.url, "send", "--as", number, new_mobile(), "hello") as script:
        assert await script.end() == 1
    (line,) = script.lines
    assert (line["event"], line["code"]) == ("failed", "no_such_person")


@pytest.mark.parametrize(
    ("environment", "code", "says"),
    [
        ({"WHATSAPP_MINI_PASSWORD": ""}, 3, "is not logged in here: set WHATSAPP_MINI_PASSWORD"),
        ({"WHATSAPP_MINI_PASSWORD": "another one"}, 3, "password is wrong"),
        ({"WHATSAPP_MINI_URL": "http://127.0.0.1:9"}, 4, "nothing answers at http://127.0.0.1:9. No message was kept."),
    ],
)
async def test_why_it_cannot_is_one_sentence(
    product: ServerGroup,
    tmp_path: Path,
    pair: tuple[str, Client],
    environment: dict[str, str],
    code: int,
    says: str,
) -> None:
    number, friend = pair
    arguments = ("send", "--as", number, "--timeout", "5", friend.mobile_no, "hello")
    async with running(tmp_path, product.url, *arguments, **environment) as script:
        assert await script.end() == code
    assert says in script.errors
    assert script.errors.count("\n") == 1
    assert "another one" not in script.errors


async def test_what_is_no_text_and_what_is_too_long(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "listen", "--as", number) as listening:
        await listening.prints(lambda line: line.get("state") == "online")
        async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, stdin=PIPE) as script:
            assert script.process.stdin is not None
            script.process.stdin.write(b"na\xefve\n" + b"x" * 2_000_000 + b"\nthe end")
            script.process.stdin.close()
            assert await script.end() == 1, script.errors
        assert [line.get("code", line["event"]) for line in script.lines] == ["sent", "message_too_large", "sent"]
        messages = friend.messages()
        assert [(await anext(messages)).text for _ in range(2)] == ["na\ufffdve", "the end"]


async def test_it_ends_as_others_do_when_nobody_reads_its_answers(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, stdin=PIPE) as script:
        assert script.process.stdin is not None
        script.process.stdin.write(b"hello\n")
        await script.prints(lambda line: line["event"] == "sent")
        script.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        script.process.stdin.write(b"hello\n" * 100)
        assert await script.end() == 128 + signal.SIGPIPE  # though more could come
    assert script.errors == ""


async def test_it_leaves_at_once_while_it_waits_for_a_line(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, stdin=PIPE) as script:
        assert script.process.stdin is not None
        script.process.stdin.write(b"hello\n")
        await script.prints(lambda line: line["event"] == "sent")
        assert await script.end(signal.SIGINT) == 130
    assert script.errors == ""


@pytest.mark.parametrize("what", [["listen"], ["send", "919800000001", "hello"]])
async def test_a_full_disk_is_one_sentence(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client], what: list[str]
) -> None:
    name, *rest = what
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        process = await asyncio.create_subprocess_exec(
            *command(name, "--as", pair[0], *rest), stdout=full, stderr=PIPE, env=environment(tmp_path, product.url)
        )
        _, errors = await asyncio.wait_for(process.communicate(), patient(SECONDS))
    finally:
        os.close(full)
    said = f"{name}: standard output cannot be written: No space left on device.\n"
    assert (process.returncode, errors.decode()) == (1, said)


async def test_what_a_process_that_hangs_was_given_is_kept_and_goes_out_once(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "listen", "--as", number) as hanging:
        await hanging.prints(lambda line: line.get("state") == "online")
        await asyncio.sleep(1)  # what hello brought is kept: it does not hang with the file locked
        hanging.process.send_signal(signal.SIGSTOP)
        arguments = ("send", "--as", number, "--timeout", "1", friend.mobile_no, "hello")
        async with running(tmp_path, product.url, *arguments) as script:
            assert await script.end() == 4, (script.lines, script.errors)
        assert [line["event"] for line in script.lines] == ["waiting"]
        await hanging.end(signal.SIGKILL)
    messages = friend.messages()
    async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, "hello again"):
        assert [(await anext(messages)).text for _ in range(2)] == ["hello", "hello again"]


async def test_an_answer_that_comes_too_late_is_passed_over(tmp_path: Path) -> None:
    late = asyncio.Event()

    async def send(to: str, text: str, id: str) -> Line:
        if text == "slow":
            await late.wait()
        return {"event": "sent", "id": id, "to": to}

    async with taking(tmp_path / "socket", send):
        passed = await Passed.to(tmp_path / "socket")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(passed.send("919800000001", "slow", "m1"), 0.1)
        late.set()
        for id in ("m2", "m3"):
            assert (await asyncio.wait_for(passed.send("919800000001", "hello", id), 5))["id"] == id
        await passed.close()


async def test_sending_takes_nothing_that_came(product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]) -> None:
    number, friend = pair
    await friend.send(number, "hello, this waits")
    async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, "hello") as script:
        assert await script.end() == 0
    async with running(tmp_path, product.url, "listen", "--as", number) as script:
        assert (await script.prints(lambda line: line["event"] == "message"))["text"] == "hello, this waits"


async def test_listening_prints_messages_receipts_presence_and_typing(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "listen", "--as", number, "--watch", friend.mobile_no) as script:
        await script.prints(lambda line: line == {"event": "presence", "mobileNo": friend.mobile_no, "online": True})
        friend.typing(number)
        await script.prints(lambda line: line == {"event": "typing", "from": friend.mobile_no, "active": True})
        sent = await friend.send(number, "hello")
        message = await script.prints(lambda line: line["event"] == "message")
        expected = {"from": friend.mobile_no, "id": sent.id, "text": "hello", "timestamp": sent.timestamp}
        assert message == {"event": "message", **expected}

        async with running(tmp_path, product.url, "send", "--as", number, friend.mobile_no, "hello to you") as sender:
            assert await sender.end() == 0, sender.errors
        received = await anext(friend.messages())
        assert received.text == "hello to you"
        await friend.mark_read(number, [received.id])
        receipt = await script.prints(lambda line: line["event"] == "receipt" and line["state"] == "read")
        assert (receipt["to"], receipt["ids"]) == (friend.mobile_no, [sender.lines[0]["id"]])
        assert await script.end(signal.SIGTERM) == 0
    assert script.errors == ""


async def test_nothing_is_lost_or_doubled_when_it_is_killed(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    texts = [f"hello {n}" for n in range(120)]
    sending = asyncio.create_task(_send_all(friend, number, texts))
    lines: list[Line] = []
    kills = 0
    while len({line["text"] for line in lines}) < len(texts):
        async with running(tmp_path, product.url, "listen", "--as", number) as script:
            enough = min(25, len(texts) - len({line["text"] for line in lines}))
            await until(lambda: len(script.of("message")) >= enough, patient(SECONDS))  # noqa: B023 - used at once
            assert await script.end(signal.SIGKILL) == -signal.SIGKILL
        lines += script.of("message")
        kills += 1
    await sending
    assert kills >= 4
    came = [line["text"] for line in lines]
    assert list(dict.fromkeys(came)) == texts
    # A line that a process had in hand when it was killed was printed or not. In both cases it comes with "again".
    assert all("again" in line for n, line in enumerate(lines) if line["text"] in came[:n])
    assert sum("again" in line for line in lines) <= kills


async def test_a_line_that_could_not_be_written_comes_when_it_is_killed(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    journal = Accounts(tmp_path).account(product.url, number).file.with_suffix(".printing")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"." * select.PIPE_BUF)
        os.set_blocking(writing, True)
        process = await asyncio.create_subprocess_exec(
            *command("listen", "--as", number), stdout=writing, env=environment(tmp_path, product.url)
        )
        os.close(writing)
        sent = await friend.send(number, "hello")
        await until(lambda: journal.exists() and sent.id in journal.read_text(), patient(SECONDS))
        process.kill()
        await process.wait()
        assert set(pipe.read()) == set(b".")  # nothing was printed: it was killed when it had noted what it would print
    async with running(tmp_path, product.url, "listen", "--as", number) as script:
        await friend.send(number, "hello again")
        await script.prints(lambda line: line.get("text") == "hello again")
    first, second = script.of("message")
    assert (first["text"], first.get("again"), "again" in second) == ("hello", True, False)


async def test_half_a_line_of_one_that_was_killed_spoils_no_other(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)

    async def start() -> Process:
        how = {"stdout": writing, "env": environment(tmp_path, product.url)}
        return await asyncio.create_subprocess_exec(*command("listen", "--as", number), **how)

    process = await start()
    sent = await friend.send(number, "x" * 12_000)
    await until(lambda: waiting_in(reading) > 2000, patient(SECONDS))
    process.kill()
    await process.wait()
    with os.fdopen(reading, "rb") as pipe:
        written = asyncio.create_task(asyncio.to_thread(pipe.read))
        process = await start()
        await friend.send(number, "hello")
        journal = Accounts(tmp_path).account(product.url, number).file.with_suffix(".printing")
        await until(lambda: journal.exists() and not journal.read_text(), patient(SECONDS))
        await asyncio.sleep(0.5)
        process.terminate()
        assert await process.wait() == 0
        os.close(writing)
        lines = (await written).decode().splitlines()
    whole, cut = list[Line](), list[str]()
    for line in filter(None, lines):
        try:
            whole.append(json.loads(line))
        except ValueError:
            cut.append(line)
    (half,) = cut
    assert half.startswith('{"event": "message"')
    assert half.endswith('xxx{"event": "state", "state": "off"}'), "nothing else is glued to it"
    first, second = [line for line in whole if line["event"] == "message"]
    assert (first["id"], first["text"], first["again"]) == (sent.id, "x" * 12_000, True)
    assert (second["text"], "again" in second) == ("hello", False)


def waiting_in(pipe: int) -> int:
    """How many bytes can be read from it."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))
    return int(count)


async def test_a_line_is_in_doubt_until_it_is_kept_however_many_are_killed(tmp_path: Path) -> None:
    store, lines = SqliteStore(tmp_path / "store"), list[Line]()
    message = Message("1", "919800000001", False, "hello", 1, "new", "1-0")
    await store.add([Message("2", message.peer, True, "hello to you", 1, "waiting")])

    async def show(line: Line) -> None:
        lines.append(line)

    async def starts() -> Printing:
        """The one before, if any, was killed."""
        printing = Printing(store, Journal(tmp_path / "journal"), show)
        await printing.show_left()
        return printing

    await (await starts()).show_message(message)
    await (await starts()).apply([Receipt(message.peer, ("2",), "delivered", 2)])  # it may overtake the message
    last = await starts()
    await last.show_message(message)
    await last.apply([Chat(message)])
    assert [(line["event"], line.get("again")) for line in lines] == [
        ("message", None),
        ("receipt", None),
        ("message", True),
    ]
    assert Journal(tmp_path / "journal").left == []


async def test_a_line_is_not_in_doubt_when_it_was_kept(tmp_path: Path) -> None:
    store, journal = SqliteStore(tmp_path / "store"), tmp_path / "journal"
    message = Message("1", "919800000001", False, "hello", 1, "new", "1-0")
    Journal(journal).note([{"event": "message", "from": message.peer, "id": "1", "text": "hello", "timestamp": 1}])
    await store.apply([Chat(message)])  # and it was killed before it noted that
    await Printing(store, Journal(journal), AsyncMock()).show_left()
    assert Journal(journal).left == []


async def _send_all(friend: Client, number: str, texts: list[str]) -> None:
    for text in texts:
        await friend.send(number, text)


async def test_it_ends_when_nobody_reads_any_more(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, friend = pair
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *command("listen", "--as", number), stdout=writing, stderr=PIPE, env=environment(tmp_path, product.url)
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        for expected in ("connecting", "online"):
            assert json.loads(await asyncio.to_thread(pipe.readline))["state"] == expected
    _, errors = await asyncio.wait_for(process.communicate(), patient(SECONDS))
    assert (process.returncode, errors) == (0, b"")

    await friend.send(number, "hello, afterwards")
    async with running(tmp_path, product.url, "listen", "--as", number) as script:
        assert (await script.prints(lambda line: line["event"] == "message"))["text"] == "hello, afterwards"


async def test_a_line_does_nothing_to_the_terminal_that_shows_it(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = "é \U0001f600 \x1b[2J \x9b31m \x9d52;c;aGk=\x9c \x7f \u202eabc\u2066 \u2028"
    await Output().line({"text": text})
    printed = capfdbinary.readouterr().out.decode()
    assert json.loads(printed) == {"text": text}
    assert [sign for sign in printed if not sign.isprintable()] == ["\n"]
    assert "é \U0001f600" in printed, "what people write is readable"


async def test_two_cannot_listen_with_one_account(
    product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]
) -> None:
    number, _ = pair
    async with running(tmp_path, product.url, "listen", "--as", number) as first:
        await first.prints(lambda line: line.get("state") == "online")
        async with running(tmp_path, product.url, "listen", "--as", number) as second:
            assert await second.end() == 4
        assert second.errors == f"listen: {number} is open in another terminal.\n"
        async with running(tmp_path, product.url, "listen", "--as", number, "--device", "two") as other:
            await other.prints(lambda line: line.get("state") == "online")
            assert await other.end(signal.SIGINT) == 0
        assert not first.process.returncode


async def test_the_only_account_needs_no_name(product: ServerGroup, tmp_path: Path, pair: tuple[str, Client]) -> None:
    number, friend = pair
    async with running(tmp_path, product.url, "send", friend.mobile_no, "hello") as script:
        assert await script.end() == 2
    assert "say which account: --as NUMBER" in script.errors
    for account in ([number], []):
        named = ["--as", *account] if account else []
        async with running(tmp_path, product.url, "send", *named, friend.mobile_no, "hello") as script:
            assert await script.end() == 0
    assert [each.mobile for each in Accounts(tmp_path).known()] == [number]
