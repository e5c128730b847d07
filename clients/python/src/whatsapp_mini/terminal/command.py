"""The command ``whatsapp-mini``: a messenger in the terminal, and sending and listening for scripts."""

import argparse
import asyncio
import getpass
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from whatsapp_mini import Client, Ended
from whatsapp_mini.store import Store
from whatsapp_mini.terminal import words
from whatsapp_mini.terminal.accounts import (
    DEFAULT_URL,
    Account,
    AccountBusyError,
    Accounts,
    UnsafeFolderError,
    device_name,
    full_url,
    home,
)
from whatsapp_mini.terminal.listening import listen
from whatsapp_mini.terminal.sending import NO_ANSWER, NOT_LOGGED_IN, send_all
from whatsapp_mini.terminal.storing import Unlistened

EPILOG = """\
environment:
  WHATSAPP_MINI_URL       the server, where --server is not given
  WHATSAPP_MINI_NUMBER    the account, where --as is not given
  WHATSAPP_MINI_PASSWORD  to log in without being asked; it is stored nowhere
  WHATSAPP_MINI_HOME      where accounts are kept (~/.local/share/whatsapp-mini)

exit codes of send and listen:
  0 done   1 a message was refused   2 wrong command line   3 not logged in   4 no answer; the message is kept
"""


class CannotError(Exception):
    """Why it cannot be done, in a sentence, and the exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, completed by the environment."""

    command: str
    accounts: Accounts
    url: str
    number: str
    device: str
    to: str = ""
    text: str | None = None
    seconds: float = 30
    watched: Sequence[str] = ()
    theme: str = "auto"
    mouse: bool = True


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line.

    :raises SystemExit: with the usage, when it makes no sense
    """
    name = os.environ.get("WHATSAPP_MINI_COMMAND", "whatsapp-mini")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--server", metavar="URL", help=f"the server (default {DEFAULT_URL})")
    common.add_argument("--device", default="", metavar="NAME", help="be a device of its own beside the usual one")
    parser = argparse.ArgumentParser(
        prog=name, description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="chat | send | listen")
    chat = commands.add_parser("chat", parents=[common], help="the messenger", description="The messenger.")
    chat.add_argument("number", nargs="?", type=_number, help="your own mobile number")
    chat.add_argument("--theme", choices=("auto", "dark", "light"), default="auto")
    chat.add_argument("--no-mouse", dest="mouse", action="store_false", help="leave the mouse to the terminal")
    send = commands.add_parser(
        "send", parents=[common], help="send a message", description="Send messages, and print what became of each."
    )
    send.add_argument("to", type=_number, metavar="NUMBER", help="to whom")
    send.add_argument("text", nargs="?", help="the message; without it, each line of standard input is one")
    send.add_argument("--timeout", type=float, default=30, metavar="S", dest="seconds", help="for each message (30)")
    hear = commands.add_parser(
        "listen", parents=[common], help="print what comes", description="Print what comes, a line of JSON each."
    )
    hear.add_argument("--watch", action="append", default=[], type=_number, metavar="NUMBER", help="and their presence")
    hear.add_argument(
        "--ack", choices=("after-print",), default="after-print", help="a message is acknowledged when it was printed"
    )
    for each in (send, hear):
        each.add_argument("--as", type=_number, metavar="NUMBER", dest="number", help="the account")
    return _options(parser.parse_args(arguments))


def _options(found: argparse.Namespace) -> Options:
    environment = os.environ
    accounts = Accounts(home(environment))
    url = full_url(found.server or environment.get("WHATSAPP_MINI_URL") or DEFAULT_URL)
    number = found.number or words.number(environment.get("WHATSAPP_MINI_NUMBER", ""))
    if found.command == "chat":
        return Options("chat", accounts, url, number, found.device, theme=found.theme, mouse=found.mouse)
    if found.command == "listen":
        return Options("listen", accounts, url, number, found.device, watched=found.watch)
    return Options("send", accounts, url, number, found.device, found.to, found.text, found.seconds)


def _number(text: str) -> str:
    number = words.number(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} is no mobile number")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    logging.getLogger("whatsapp_mini").addHandler(logging.NullHandler())  # what it would warn of is shown or printed
    try:
        if options.command == "chat":
            return _chat(options)
        return asyncio.run(_send(options) if options.command == "send" else _listen(options))
    except KeyboardInterrupt:
        return 130
    except (CannotError, UnsafeFolderError, AccountBusyError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return error.code if isinstance(error, CannotError) else NO_ANSWER


def _chat(options: Options) -> int:
    try:
        from whatsapp_mini.terminal.app import ChatApp  # noqa: PLC0415 - send and listen work without Textual
    except ModuleNotFoundError as missing:
        if missing.name != "textual":
            raise
        raise CannotError("Textual is missing: pip install 'whatsapp-mini-client[terminal]'", 2) from None
    app = ChatApp(options.accounts, options.url, options.number, options.device, options.theme)
    app.run(mouse=options.mouse)
    return app.return_code or 0


async def _send(options: Options) -> int:
    account = _account(options)
    texts = _lines() if options.text is None else _one(options.text)

    async def start(account: Account) -> Client:
        client = await _client(account, options, Unlistened(account.store()))
        await client.start(wait=False)
        try:
            async with asyncio.timeout(options.seconds):
                await client.online()
        except BaseException:
            await client.stop(0)
            raise
        return client

    try:
        return await send_all(account, start, options.to, texts, options.seconds)
    except Ended as error:
        raise CannotError(words.why(error), NOT_LOGGED_IN) from None
    except TimeoutError:
        raise CannotError(f"nothing answers at {account.url}.", NO_ANSWER) from None


async def _listen(options: Options) -> int:
    account = _account(options)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with account.opened():
        store = account.store()
        password = await _password(account, store)
        try:
            await listen(
                account, store, lambda around: _make(account, options, around, password), options.watched, stop
            )
        except Ended as error:
            raise CannotError(words.why(error), NOT_LOGGED_IN) from None
    return 0


def _account(options: Options) -> Account:
    """The account that is named, else the only one.

    :raises CannotError: it is not clear which
    """
    if options.number:
        return options.accounts.account(options.url, options.number, options.device)
    known = [each for each in options.accounts.known(options.device) if each.url == options.url]
    if len(known) == 1:
        return known[0]
    which = f"one of {', '.join(each.mobile for each in known)}" if known else "your number"
    raise CannotError(f"say which account: --as NUMBER ({which}).", 2)


async def _client(account: Account, options: Options, store: Store) -> Client:
    return _make(account, options, store, await _password(account, store))


def _make(account: Account, options: Options, store: Store, password: str) -> Client:
    device_id = options.accounts.device_id(options.device)
    return Client(account.url, account.mobile, password, store=store, device_id=device_id, device_name=device_name())


async def _password(account: Account, store: Store) -> str:
    """From the environment; or asked for, if there is no session and somebody to ask.

    :raises CannotError: nobody to ask
    """
    if named := os.environ.get("WHATSAPP_MINI_PASSWORD"):
        return named
    if (await store.load()).session is not None:
        return ""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CannotError(f"{account.mobile} is not logged in here: set WHATSAPP_MINI_PASSWORD.", NOT_LOGGED_IN)
    return await asyncio.to_thread(getpass.getpass, f"Password of {account.mobile}: ", sys.stderr)


async def _one(text: str) -> AsyncIterator[str]:
    yield text


async def _lines() -> AsyncIterator[str]:
    """The lines of standard input that are not empty, as they come."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        if text := line.rstrip("\n"):
            yield text


if __name__ == "__main__":
    sys.exit(main())
