"""The environment is read once, strictly, and never quoted back."""

import secrets

import pytest
from pydantic import ValidationError

from settings import Settings, SettingsError, load

GOOD = {
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "DATABASE_URL": "postgresql://user:pw@127.0.0.1/name",
    "JWT_SECRET": secrets.token_urlsafe(48),
}

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment, and nothing but that."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def _complaint(env: pytest.MonkeyPatch, **changes: str) -> str:
    for name, value in changes.items():
        env.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value)


def test_three_variables_are_enough(env: pytest.MonkeyPatch) -> None:
    settings = load()
    assert settings.database_url == "postgres://user:pw@127.0.0.1/name"
    assert (settings.bcrypt_rounds, settings.token_hours, settings.window) == (12, 24, 256)
    assert settings.jobs_redis_url == settings.redis_url
    env.setenv("ARQ_REDIS_URL", "redis://elsewhere/1")
    assert load().jobs_redis_url == "redis://elsewhere/1"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_what_is_missing_is_named(env: pytest.MonkeyPatch, name: str) -> None:
    env.delenv(name)
    assert name in _complaint(env)


def test_everything_wrong_is_told_at_once(env: pytest.MonkeyPatch) -> None:
    complaint = _complaint(env, BCRYPT_ROUNDS="99", TOKEN_HOURS="soon", DEFAULT_REGION="india")
    assert all(name in complaint for name in ("BCRYPT_ROUNDS", "TOKEN_HOURS", "DEFAULT_REGION"))


@pytest.mark.parametrize(
    "weak", ["short", "x" * 64, "abababab" * 8, "change-me-change-me-change-me-123456", "secret" + "q8Zk2" * 12]
)
@pytest.mark.parametrize("name", ["JWT_SECRET", "JWT_PREVIOUS_SECRET"])
def test_a_weak_secret_is_refused_and_not_quoted(env: pytest.MonkeyPatch, name: str, weak: str) -> None:
    complaint = _complaint(env, **{name: weak})
    assert name in complaint
    assert weak not in complaint


def test_a_random_secret_is_taken_however_it_begins(env: pytest.MonkeyPatch) -> None:
    secret = "Xyz" + "3QFK28O0PeA6-gGbwVrKz5Ajm_blXgcvHQf4QbgB"
    env.setenv("JWT_SECRET", secret)
    assert load().jwt_secret.get_secret_value() == secret


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"SIGNUP_CODE_URL": "https://sms.example.org"},
        {"SIGNUP_CODE_SECRET": WEBHOOK_SECRET},
        {"SIGNUP_CODE_URL": "sms.example.org", "SIGNUP_CODE_SECRET": WEBHOOK_SECRET},
        {"SIGNUP_CODE_URL": "https://sms.example.org", "SIGNUP_CODE_SECRET": WEBHOOK_SECRET.removeprefix("whsec_")},
        {"SIGNUP_CODE_URL": "https://sms.example.org", "SIGNUP_CODE_SECRET": "whsec_c2hvcnQ="},
        {"SIGNUP_CODE_URL": "https://sms.example.org", "SIGNUP_CODE_SECRET": "whsec_*" + "A" * 32},
    ],
)
def test_a_webhook_needs_an_address_and_a_secret(env: pytest.MonkeyPatch, wrong: dict[str, str]) -> None:
    complaint = _complaint(env, SIGNUP_CODE="webhook", **wrong)
    assert "SIGNUP_CODE_SECRET" in complaint
    assert wrong.get("SIGNUP_CODE_SECRET", "nothing") not in complaint


def test_codes_are_off_unless_switched_on(env: pytest.MonkeyPatch) -> None:
    assert load().signup_code == "off"
    env.setenv("SIGNUP_CODE_URL", "https://sms.example.org")
    env.setenv("SIGNUP_CODE_SECRET", WEBHOOK_SECRET)
    env.setenv("SIGNUP_CODE", "webhook")
    assert load().signup_code_secret.get_secret_value() == WEBHOOK_SECRET


def test_an_empty_secret_is_none_at_all(env: pytest.MonkeyPatch) -> None:
    env.setenv("JWT_PREVIOUS_SECRET", "")
    assert not load().jwt_previous_secret.get_secret_value()
    assert "JWT_SECRET" in _complaint(env, JWT_SECRET="")


def test_nor_by_whoever_does_not_go_through_load(env: pytest.MonkeyPatch) -> None:
    env.setenv("JWT_SECRET", "canary")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "canary" not in str(caught.value)


def test_secrets_do_not_show_in_a_repr(env: pytest.MonkeyPatch) -> None:
    assert GOOD["JWT_SECRET"] not in repr(load())


@pytest.mark.parametrize("url", ["http://x", "mysql://x/y", "localhost:6379"])
def test_a_url_of_another_kind_is_refused(env: pytest.MonkeyPatch, url: str) -> None:
    assert "REDIS_URL" in _complaint(env, REDIS_URL=url)


@pytest.mark.parametrize(
    "changes",
    [
        {"LEASE_SECONDS": "30"},
        {"PING_SECONDS": "31"},
        {"BELL_SILENCE_SECONDS": "9"},
        {"REPLICAS_ACKED": "1", "REPLICAS_SECONDS": "3"},
        {"REPLICAS_SECONDS": "0"},
        {"SWEEP_SECONDS": "7"},
        {"CAP_MINUTES": "7"},
    ],
)
def test_knobs_that_do_not_fit_together_are_refused(env: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    _complaint(env, **changes)


def test_every_knob_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
