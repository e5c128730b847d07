from server.websocket.rate_limiter import FrameRateLimiter
from tests.server.support import make_settings


def test_fragments_are_slowed_down_and_control_frames_end_at_their_limit() -> None:
    settings = make_settings(
        data_frames_per_second=2, data_frames_burst=8, control_frames_per_second=1, control_frames_burst=8
    )
    limiter = FrameRateLimiter(settings, 100.0)
    assert [limiter.charge_fragment(100.0) for _ in range(9)] == [0.0] * 8 + [0.5]
    assert [limiter.allows_control_frame(100.0) for _ in range(9)] == [True] * 8 + [False], "each kind has its own"
    assert [limiter.allows_control_frame(101.0) for _ in range(2)] == [True, False]
