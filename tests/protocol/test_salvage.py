"""What can still be read of invalid JSON, in a time that grows only with its length."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.salvage import divide, fields_of

LARGEST = 256 * 1024


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"[]", [b""]),
        (b" [ a , b ] ", [b"a", b"b"]),
        (b'[{"a":"],["},x]', [b'{"a":"],["}', b"x"]),
        (b'[{"a":{"b":[{"c":[1,2]},3]}},[[1],[2,{}]]]', [b'{"a":{"b":[{"c":[1,2]},3]}}', b"[[1],[2,{}]]"]),
        (rb'["\"," ,"\\",y]', [rb'"\","', rb'"\\"', b"y"]),
        (b"[a,]", [b"a", b""]),
    ],
)
def test_an_array_is_divided_at_its_own_commas(data: bytes, parts: list[bytes]) -> None:
    assert divide(data) == parts


@pytest.mark.parametrize("data", [b"[", b"[a", b'["a]', b"[a]]", b"[a] b", b"[{a]}", b"[(a}", b"[" * 1000 + b"]" * 999])
def test_an_array_with_unmatched_brackets_is_not_divided(data: bytes) -> None:
    assert divide(data) is None


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"messageId":"m","to" : "9","n":-7,"f":1.5', {"messageId": "m", "to": "9", "n": -7}),
        (b'{"streamIds":["5-1","6-1"],"message":"x" y}', {"streamIds": ["5-1", "6-1"], "message": "x"}),
        (b'{"a":{"messageId":"inner"},"b":[{"messageId":"inner"}],"messageId":"m"', {"messageId": "m"}),
        (b'{"messageId":"m"}{"to":"9"}', {"messageId": "m"}),
        (rb'{"messageId":"\ud800","to":"9"}', {"to": "9"}),
        (b'{"messageId":"m","message":"not closed, "to":"9"', {"messageId": "m"}),
        (b'["messageId","m"]', {}),
        (b"hello", {}),
        (b"", {}),
    ],
)
def test_readable_fields_are_read(data: bytes, found: dict[str, object]) -> None:
    read = fields_of(data)
    assert {name: value for name, value in read.items() if name in found} == found
    assert not {"messageId", "to"} & (read.keys() - found.keys())


@given(st.binary(max_size=300))
def test_any_bytes_are_accepted(data: bytes) -> None:
    fields_of(data)
    fields_of(b"{" + data)
    parts = divide(b"[" + data)
    assert parts is None or b",".join(parts).split() == data.strip().removesuffix(b"]").split() or len(parts) > 1


HOSTILE = {
    "brackets": b"[" * LARGEST,
    "brackets and braces": b"[{" * (LARGEST // 2),
    "commas": b"[" + b"," * LARGEST,
    "numbers": b"[" + b"1," * (LARGEST // 2),
    "quotes": b'["' + b'\\"' * (LARGEST // 2),
    "open strings": b'[{"a' * (LARGEST // 4),
    "one open string": b'["' + b"x" * LARGEST,
    "nested objects": b"[" + b'{"a":{' * (LARGEST // 6),
    "almost flat objects": b"[" + b'{"a":[1,2,3],"b":[' * (LARGEST // 18),
    "objects": b"[" + b"{}," * (LARGEST // 3),
    "backslashes": b'["' + b"\\" * (LARGEST - 1),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_the_time_grows_only_linearly_with_the_input(data: bytes) -> None:
    def seconds(size: int) -> float:
        """The best of a few, of this machine's processor time: a busy machine counts less."""
        times = []
        for _ in range(5):
            began = time.process_time()
            divide(data[:size])
            fields_of(b"{" + data[:size])
            times.append(time.process_time() - began)
        return min(times)

    assert seconds(len(data)) < 30 * seconds(len(data) // 8) + 0.005
