"""What the two fields that search offer: chats by name and number, and messages by what was said."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from textual.content import Content
from whatsapp_mini.terminal import usage, words
from whatsapp_mini.terminal.book import Book
from whatsapp_mini.terminal.chats import Chat

MOST = 50
NEW = "new:"
"""Before a number that is no chat yet, as it was typed."""
Offer = tuple[str, Content]


def chats(shown: Sequence[Chat], text: str) -> list[Offer]:
    """Chats whose name or number has this in it; and the number itself, if it is one and no chat yet."""
    digits, name = usage.number(text), text.strip().lower()
    found = [chat for chat in shown if name in chat.title.lower() or (digits and digits in chat.peer)]
    offers = [(chat.peer, Content.assemble((chat.title, "bold"), f"  {words.spaced(chat.peer)}")) for chat in found]
    if digits and digits not in [chat.peer for chat in shown]:
        offers.append((f"{NEW}{text.strip()}", Content.assemble("Write to ", (text.strip(), "bold"))))
    return offers


def messages(book: Book, known: Mapping[str, Chat], text: str, now: datetime) -> list[Offer]:
    """Messages with this in them, the latest first, by their rows in the book."""
    offers = []
    for row, message in book.search(text, MOST) if text.strip() else ():
        when = (f"{words.short(message.timestamp, now):<9}", "$muted")
        title = known[message.peer].title if message.peer in known else words.spaced(message.peer)
        who = (f"{'to ' if message.mine else ''}{title}: ", "bold")
        offers.append((str(row), Content.assemble(when, who, words.excerpt(message.text, text))))
    return offers
