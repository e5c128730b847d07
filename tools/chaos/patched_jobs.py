"""The arq worker with a bug on purpose (``CHAOS_BUG``): ``arq tools.chaos.patched_jobs.WorkerSettings``."""

import os

from tools.chaos.bugs import put_in
from workers import WorkerSettings

__all__ = ["WorkerSettings"]

put_in(os.environ.get("CHAOS_BUG", ""))
