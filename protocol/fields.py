"""Types of fields with what machines are told of them: a pattern, an example, a sentence.

Only lengths are enforced when JSON is decoded. A pattern describes what other code accepts
(``protocol/identifiers.py`` and ``accounts/mobile_numbers.py``): that code answers with codes of its own.
"""

from typing import Annotated, Any, Final

from msgspec import Meta

PUNCTUATION: Final = (
    r" .\(\)\[\]\/\-"
    r"\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # invisible
    r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"  # spaces
    r"\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d"  # hyphens
)
"""What a number may contain besides digits, as the inside of a character class of ECMA 262 and of Python."""
_FILL: Final = f"[{PUNCTUATION}]*"
WRITTEN_MOBILE: Final = rf"^{_FILL}\+?{_FILL}(?:0{_FILL}0{_FILL})?[1-9](?:{_FILL}[0-9]){{9,14}}{_FILL}$"
"""Numbers with their country code as people write them. It counts the zero of ``(0)``, which the server drops: no
pattern without lookahead can tell. A region's own ways of writing are not in here."""


MORE_RULES: Final = "x-more-rules"
"""A keyword that marks fields with rules that JSON Schema cannot say: their descriptions name them."""


def described(description: str, *examples: Any, more_rules: bool = False, **schema: Any) -> Meta:
    """A description, examples and keywords of JSON Schema, none of which is enforced here.

    :param more_rules: the field is marked with ``MORE_RULES``
    """
    if more_rules:
        schema[MORE_RULES] = True
    return Meta(description=description, examples=list(examples) or None, extra_json_schema=schema or None)


Mobile = Annotated[
    str,
    described("A mobile number: E.164 digits, with the country code.", "919800000001", pattern="^[1-9][0-9]{9,14}$"),
]
"""As the server gives it out."""
MobileInFrame = Annotated[
    str,
    described(
        "A mobile number as a person writes it, with its country code. Spaces, dashes, dots, slashes, brackets, "
        "invisible marks and one leading + or 00 are dropped. What the server gives out is read back unchanged. With "
        "DEFAULT_REGION set, numbers may also be written as at home.",
        "+91 98000 00001",
        pattern=WRITTEN_MOBILE,
        maxLength=64,
    ),
]
"""As the server reads it in a frame, where one that is too long is ``bad_mobile``."""
MobileWritten = Annotated[MobileInFrame, Meta(max_length=64)]
"""As the server reads it in a body, where one that is too long is ``bad_request``."""
MessageId = Annotated[
    str,
    described("The sender's own id for a chat; the same when the chat is sent again.", "m7", pattern="^[!-~]{1,128}$"),
]
StreamId = Annotated[
    str,
    described("The entry's place in its mailbox.", "1795502489474-0", pattern="^[0-9]{1,20}-[0-9]{1,20}$"),
]
DeviceId = Annotated[str, described("Names a device of a person.", "primary", pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
UnixMs = Annotated[int, described("Milliseconds of Unix time, by the server's clock.", 1795502489474, minimum=0)]
Moment = Annotated[
    str, described("A time in RFC 3339, in UTC, with milliseconds.", "2026-01-31T12:00:00.000Z", format="date-time")
]
Id = Annotated[str, described("A UUID.", "0f8fad5b-d9cb-469f-a165-70867728950e", format="uuid")]
MessageText = Annotated[
    str,
    described(
        "The text: at most 16 KiB in UTF-8, not empty, not only invisible characters.",
        "hello",
        minLength=1,
        maxLength=16384,
    ),
]
