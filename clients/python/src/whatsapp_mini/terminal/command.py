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

from whatsapp_mini import Client, ClientError, Ended, LoggedOut
from whatsapp_mini.store import Store
from whatsapp_mini.terminal import stdin, usage, words
from whatsapp_mini.terminal.accounts import (
    Account,
    AccountBusyError,
    Accounts,
    UnsafeFolderError,
    device_name,
    full_url,
    home,
)
from whatsapp_mini.terminal.listening import listen
from whatsapp_mini.terminal.output import OutputClosedError
from whatsapp_mini.terminal.sending import CANNOT_GO_ON, NO_ANSWER, NOT_LOGGED_IN, READER_GONE, send_all
from whatsapp_mini.terminal.storing import Unlistened

INTERRUPTED = 128 + signal.SIGINT
"""The exit code after Ctrl-C, as of other programs."""


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
    only_there: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line.

    :raises SystemExit: with the usage, when it makes no sense
    """
    return _options(usage.parse(arguments))


def _options(found: argparse.Namespace) -> Options:
    environment = os.environ
    accounts = Accounts(home(environment))
    url = full_url(found.server or environment.get("WHATSAPP_MINI_URL") or usage.DEFAULT_URL)
    number = found.number or usage.number(environment.get("WHATSAPP_MINI_NUMBER", ""))
    if found.command == "chat":
        named = bool(found.server or environment.get("WHATSAPP_MINI_URL"))
        looks = {"theme": found.theme, "mouse": found.mouse}
        return Options("chat", accounts, url, number, found.device, **looks, only_there=named)
    if found.command == "listen":
        return Options("listen", accounts, url, number, found.device, watched=found.watch)
    return Options("send", accounts, url, number, found.device, found.to, found.text, found.seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    logging.getLogger("whatsapp_mini").addHandler(logging.NullHandler())  # what it would warn of is shown or printed
    try:
        if options.command == "chat":
            return _chat(options)
        account = _account(options)
        work = _send if options.command == "send" else _listen
        return asyncio.run(work(options, account, _password(account)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CannotError, AccountBusyError, UnsafeFolderError, ClientError, OutputClosedError) as error:
        print(f"{options.command}: {words.why(error) if isinstance(error, Ended) else error}", file=sys.stderr)
        return _code(error)


def _code(error: Exception) -> int:
    match error:
        case CannotError():
            return error.code
        case LoggedOut():
            return NOT_LOGGED_IN
        case AccountBusyError() | UnsafeFolderError():
            return NO_ANSWER
    return CANNOT_GO_ON


def _chat(options: Options) -> int:
    try:
        from whatsapp_mini.terminal.app import ChatApp  # noqa: PLC0415 - send and listen work without Textual
    except ModuleNotFoundError as missing:
        if missing.name != "textual":
            raise
        raise CannotError("Textual is missing: pip install 'whatsapp-mini-client[terminal]'", 2) from None
    where = options.accounts, options.url, options.number, options.device, options.theme
    app = ChatApp(*where, only_there=options.only_there)
    app.run(mouse=options.mouse)
    return app.return_code or 0


async def _send(options: Options, account: Account, password: str) -> int:
    # Python's own handler may run only when the event loop wakes up the next time.
    sending = asyncio.ensure_future(_send_all(options, account, password))
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, sending.cancel)
    try:
        return await sending
    except asyncio.CancelledError:
        return INTERRUPTED


async def _send_all(options: Options, account: Account, password: str) -> int:
    texts = stdin.lines() if options.text is None else _one(options.text)

    async def start(account: Account) -> Client:
        client = _client(account, options, Unlistened(account.store()), password)
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
    except TimeoutError:
        raise CannotError(f"nothing answers at {account.url}. No message was kept.", NO_ANSWER) from None
    except OutputClosedError as closed:
        if not str(closed):
            return READER_GONE
        raise


async def _listen(options: Options, account: Account, password: str) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with account.opened():
        store = account.store()
        await listen(account, store, lambda around: _client(account, options, around, password), options.watched, stop)
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


def _client(account: Account, options: Options, store: Store, password: str) -> Client:
    device_id = options.accounts.device_id(options.device)
    try:
        return Client(
            account.url, account.mobile, password, store=store, device_id=device_id, device_name=device_name()
        )
    except ValueError as error:
        raise CannotError(str(error), 2) from None


def _password(account: Account) -> str:
    """From the environment; or asked for, if there is no session and somebody to ask. Nothing else runs meanwhile.

    :raises CannotError: nobody to ask
    """
    if named := os.environ.get("WHATSAPP_MINI_PASSWORD"):
        return named
    if account.is_known and asyncio.run(_has_session(account)):
        return ""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CannotError(f"{account.mobile} is not logged in here: set WHATSAPP_MINI_PASSWORD.", NOT_LOGGED_IN)
    return getpass.getpass(f"Password of {account.mobile}: ", sys.stderr)


async def _has_session(account: Account) -> bool:
    store = account.store()
    try:
        return (await store.load()).session is not None
    finally:
        await store.close()


async def _one(text: str) -> AsyncIterator[str]:
    yield text


if __name__ == "__main__":
    sys.exit(main())
