"""What one person's frames cost a server."""

import time

from delivery import work as module
from delivery.work import Work


def test_a_person_has_one_bucket_whatever_connections_they_have() -> None:
    work = Work()
    assert work.bucket("a", 10, 5) is work.bucket("a", 10, 5)
    assert work.bucket("a", 10, 5) is not work.bucket("b", 10, 5)


def test_full_buckets_are_deleted() -> None:
    work = Work()
    debtor = work.bucket("debtor", 1, 5)
    debtor.charge(100, time.monotonic())
    for n in range(module.CLEAN_UP_AT + 10):
        work.bucket(f"{n}", 1, 5)
    assert len(work._buckets) < 20
    assert work.bucket("debtor", 1, 5) is debtor
