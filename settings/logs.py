"""Logs: each line is one JSON object on standard error, in the main process, the workers and the jobs.

Secrets are removed from the finished line, so it does not matter where one came from: an event, an argument, a URL
in an exception, the repr of an object. Removed are: every query string, bearer tokens, anything that
looks like a JWT, passwords in URLs, values of keys that name a secret. Mobile numbers under their known keys keep
their last two digits.
"""

import json
import logging.config
import re
import sys
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_HIDDEN: Final = "[redacted]"
_SECRET_KEYS: Final = frozenset(
    {"password", "token", "ticket", "authorization", "cookie", "secret", "jwt_secret", "access_token", "message_text"}
)
_MOBILE_KEYS: Final = frozenset({"mobile", "mobile_no", "mobileno", "holder_mobile", "sender", "recipient"})
_MASKED: Final = re.compile(r"[0-9](?=[0-9]{2})")

_ACCESS_FIELDS: Final = ("status", "byte", "host")

_PATTERNS: Final = (
    # The whole query: a name can be written `to%6ben`, so a list of names would not be enough.
    (re.compile(r"\?[^\s\"'\\<>?]*=[^\s\"'\\<>]*"), "?" + _HIDDEN),
    (re.compile(r"eyJ[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,2}"), _HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), r"\1 " + _HIDDEN),
    (re.compile(r"(://[^:@/\s\"]*):[^@/\s\"]+@"), r"\1:" + _HIDDEN + "@"),
    (
        re.compile(
            r"""(?ix) \b (password | token | ticket | authorization | secret)
                (\\?["']? \s* [:=] \s* (?:b? \\?["'])?)
                (?!\[redacted) (?: \\\\. | [^"'\\\s,&}] )+ """
        ),
        r"\1\2" + _HIDDEN,
    ),
    (re.compile(r"\\u001b\[[0-9;]*m"), ""),
)


def redact(line: str) -> str:
    """The line without secrets."""
    for pattern, instead in _PATTERNS:
        line = pattern.sub(instead, line)
    return line


def mask(mobile: object) -> str:
    """A mobile number with all but its last two digits hidden."""
    return _MASKED.sub("*", str(mobile))


def _by_key(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        name = key.lower()
        if name in _SECRET_KEYS:
            event[key] = _HIDDEN
        elif name in _MOBILE_KEYS:
            event[key] = mask(value)
    return event


def _accessed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The fields that Sanic adds to a record of its access log, whose message is empty. Without the query."""
    record = event.get("_record")
    if record is not None and record.name == "sanic.access":
        fields = vars(record)
        event["event"] = "request"
        event["request"] = str(fields.get("request", "")).partition("?")[0]
        event.update({name: fields[name] for name in _ACCESS_FIELDS if name in fields})
        if isinstance(took := fields.get("duration"), str):
            event["duration"] = took.strip()
    return event


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return redact(json.dumps(event, default=repr))


def _shared() -> list[Processor]:
    """Processors of structlog's events and of the standard library's records."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def log_config(level: str) -> dict[str, Any]:
    """The configuration for :func:`logging.config.dictConfig`, and so for Sanic's ``log_config=``.

    :param level: DEBUG, INFO, WARNING or ERROR
    """
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _shared(),
        # The traceback is text: the structured form would contain local variables.
        "processors": [
            _accessed,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _by_key,
            _render,
        ],
    }
    own: dict[str, Any] = {"handlers": [], "propagate": True}
    chatty = own | {"level": "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["lines"], "level": level},
        "loggers": {
            **{name: own | {"level": level} for name in ("sanic.root", "sanic.error", "sanic.access", "sanic.server")},
            **{name: chatty for name in ("sanic.websockets", "websockets", "asyncio", "tortoise", "httpx", "httpcore")},
            "arq": own | {"level": level},
        },
    }


def configure(level: str) -> None:
    """Make every logger of this process write such lines. For arq workers and scripts; Sanic gets the configuration."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    config = log_config(level)
    logging.config.dictConfig(config)
    # `arq` configures logging itself after it has imported its settings: give it ours.
    command = sys.modules.get("arq.cli")
    if command is not None:
        command.default_log_config = lambda _verbose: config  # type: ignore[attr-defined]
