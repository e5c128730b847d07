"""What is described of fields is what the code that reads them accepts."""

import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from protocol import identifiers
from protocol.errors import ApiError
from protocol.fields import WRITTEN_MOBILE, DeviceId, MessageId, Mobile, StreamId

TRUNK_ZERO = re.compile(r"[0-9][^0-9]*\([^0-9]*0[^0-9]*\)")
FILL = " .()[]/-\u00ad\u200e\ufeff\u00a0\u3000\u2011\uff0d"


def pattern(kind: object) -> str:
    meta = kind.__metadata__[0]  # type: ignore[attr-defined]
    return str(meta.extra_json_schema["pattern"])


def accepts(written: str) -> bool:
    try:
        identifiers.clean_mobile(written)
    except ApiError:
        return False
    return True


def matches(regex: str, text: str) -> bool:
    # $ of ECMA 262 is the end; Python's may come before a line end.
    return re.search(regex.removesuffix("$") + r"\Z", text) is not None


@given(st.text(alphabet="0123456789+x\n٣" + FILL, max_size=64))
@example("00 91 98000-00001")
@example("+0091980000000001")
@example("0091 (98) 000 00001\u200e")
@example("1234567890\n")
def test_written_numbers_are_described_exactly_but_for_the_trunk_zero(written: str) -> None:
    assume(not TRUNK_ZERO.search(written))
    assert matches(WRITTEN_MOBILE, written) == accepts(written)


@given(st.from_regex(WRITTEN_MOBILE.removesuffix("$") + r"\Z").filter(lambda text: len(text) <= 64))
@example("+44 (0)20 7946 0958")
def test_what_fits_is_accepted(written: str) -> None:
    assume(not TRUNK_ZERO.search(written) or written.startswith("+44"))
    assert accepts(written)


@given(st.text(max_size=4) | st.text(alphabet="09-aZ_.~ \n", max_size=70))
@example("a" * 128)
@example("a" * 129)
@example("1-0")
@example("9876543210")
def test_ids_are_described_exactly(text: str) -> None:
    assert matches(pattern(MessageId), text) == identifiers.is_message_id(text)
    assert matches(pattern(Mobile), text) == (identifiers.DIGITS.match(text) is not None)
    for kind, check in ((DeviceId, identifiers.check_device), (StreamId, identifiers.check_stream_id)):
        try:
            check(text)
            accepted = True
        except ApiError:
            accepted = False
        assert matches(pattern(kind), text) >= accepted
