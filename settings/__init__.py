"""Every setting of the product: an environment variable, typed, with its default, unit and reason.

``settings.TORTOISE_ORM`` is what ``tortoise -c settings.TORTOISE_ORM`` reads. It is made when accessed, so that
importing this package needs no environment.
"""

from typing import Any

from settings.fields import Settings, SettingsError, load

__all__ = ["Settings", "SettingsError", "load"]


def __getattr__(name: str) -> Any:
    if name == "TORTOISE_ORM":
        from settings.database import tortoise_orm  # noqa: PLC0415 - only when accessed

        return tortoise_orm(load().database_url)
    raise AttributeError(name)
