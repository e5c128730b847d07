"""What the command takes. Standard library only, and nothing else of this package.

So ``run.py``, which loads this file alone, can show the help or refuse a typing error before anything is installed.
"""

import argparse
import os
import re
from collections.abc import Sequence

AsWritten = argparse.RawDescriptionHelpFormatter
DESCRIPTION = "A messenger in the terminal, and sending and listening for scripts."
DEFAULT_URL = "http://127.0.0.1:5000"
EPILOG = """\
environment:
  WHATSAPP_MINI_URL       the server, where --server is not given
  WHATSAPP_MINI_NUMBER    the account, where --as is not given
  WHATSAPP_MINI_PASSWORD  to log in without being asked; it is stored nowhere
  WHATSAPP_MINI_HOME      where accounts are kept (~/.local/share/whatsapp-mini)

exit codes of send and listen:
  0 done   1 a message was refused, or the client cannot go on   2 wrong command line   3 not logged in
  4 no answer, and the message is kept; or the account is open in another terminal
"""


def number(text: str) -> str:
    """The digits of a mobile number as a person types it, or an empty text when it can be none.

    >>> number("+91 98000-00001")
    '919800000001'
    """
    bare = re.sub(r"[\s().\-/\u00a0\u2010\u2011\u202f]", "", text)
    bare = bare.removeprefix("+")
    return bare if re.fullmatch(r"\d{6,17}", bare, re.ASCII) else ""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    :raises SystemExit: after the help; or with the usage, when it makes no sense
    """
    name = os.environ.get("WHATSAPP_MINI_COMMAND", "whatsapp-mini")
    parser = argparse.ArgumentParser(prog=name, description=DESCRIPTION, epilog=EPILOG, formatter_class=AsWritten)
    commands = parser.add_subparsers(dest="command", required=True, metavar="chat | send | listen")

    def command(name: str, help: str, description: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help, description=description, epilog=EPILOG, formatter_class=AsWritten, allow_abbrev=False
        )
        made.add_argument("--server", metavar="URL", help=f"the server (default {DEFAULT_URL})")
        made.add_argument("--device", default="", metavar="NAME", help="be a device of its own beside the usual one")
        return made

    chat = command("chat", "the messenger", "The messenger.")
    chat.add_argument("number", nargs="?", type=_number, help="your own mobile number")
    chat.add_argument("--theme", choices=("auto", "dark", "light"), default="auto")
    chat.add_argument("--no-mouse", dest="mouse", action="store_false", help="leave the mouse to the terminal")
    send = command("send", "send a message", "Send messages, and print what became of each.")
    send.add_argument("to", type=_number, metavar="NUMBER", help="the number to send to")
    send.add_argument("text", nargs="?", help="the message; without it, each line of standard input is one")
    send.add_argument("--timeout", type=_seconds, default=30, metavar="S", dest="seconds", help="for each message (30)")
    hear = command("listen", "print what comes", "Print what comes, a line of JSON each.")
    hear.add_argument("--watch", action="append", default=[], type=_number, metavar="NUMBER", help="and their presence")
    for each in (send, hear):
        each.add_argument("--as", type=_number, metavar="NUMBER", dest="number", help="the account")
    return parser.parse_args(arguments)


def _number(text: str) -> str:
    digits = number(text)
    if not digits:
        raise argparse.ArgumentTypeError(f"{text!r} is no mobile number")
    return digits


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
