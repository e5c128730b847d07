"""When there is something new to say about a lease."""

from delivery.session.lease import PROOF_SECONDS, Lease, LeaseState


def test_only_a_sign_of_life_makes_a_renewal_due() -> None:
    lease = Lease(10.0, 100.0)
    assert not lease.is_due(100.0, 200.0)
    assert not lease.is_due(101.0, 108.9)
    assert lease.is_due(101.0, 109.0)


def test_one_renewal_at_a_time_and_it_counts_from_its_sign_of_life() -> None:
    lease = Lease(10.0, 100.0)
    lease.begin_renewal(110.0)
    assert not lease.is_due(112.0, 200.0)
    lease.end_renewal(answered=True)
    assert not lease.is_due(112.0, 118.9)
    assert lease.is_due(112.0, 119.0)


def test_a_renewal_without_an_answer_is_tried_again_at_once() -> None:
    lease = Lease(10.0, 100.0)
    lease.begin_renewal(110.0)
    lease.end_renewal(answered=False)
    assert lease.is_due(110.0, 110.0)


def test_a_proof_has_its_time() -> None:
    lease = Lease(10.0, 100.0)
    assert (lease.state, lease.proof_until) == (LeaseState.CLAIMING, float("inf"))
    lease.begin_proof(101.0)
    assert (lease.state, lease.proof_until) == (LeaseState.PROVING, 101.0 + PROOF_SECONDS)
    lease.end_proof(LeaseState.CLAIMING)
    assert (lease.state, lease.proof_until) == (LeaseState.CLAIMING, float("inf"))
