"""Key names never carry a secret."""

from accounts import keys


def test_the_spelling_is_for_ever() -> None:
    assert keys.session("abc") == "session:abc"
    assert keys.ticket("s3cret").startswith("ticket:")
    assert "s3cret" not in keys.ticket("s3cret")
    assert keys.ticket("a") != keys.ticket("b")
