"""Summaries of the output of py-spy and Redis."""

from tools.bench.profile import by_command, by_function

RAW = "main;send;write 3\nmain;send 1\nmain;main 4\n"


def test_time_in_functions_themselves() -> None:
    assert by_function(RAW, inclusive=False).splitlines() == ["  50.0 %  main", "  37.5 %  write", "  12.5 %  send"]


def test_time_with_all_they_call_counts_a_recursion_once() -> None:
    assert by_function(RAW, inclusive=True).splitlines() == [" 100.0 %  main", "  50.0 %  send", "  37.5 %  write"]


def test_redis_commands_are_ranked_by_their_cost_for_a_message() -> None:
    commands = {
        "cmdstat_get": {"calls": 200, "usec": 100, "usec_per_call": 0.5},
        "cmdstat_evalsha": {"calls": 100, "usec": 3000, "usec_per_call": 30.0},
        "cmdstat_ping": {"calls": 1, "usec": 1, "usec_per_call": 1.0},
    }
    head, *lines = by_command(commands, 100).splitlines()
    assert head.split() == ["command", "calls", "µs", "µs", "a", "call"]
    assert [line.split() for line in lines] == [["evalsha", "1.00", "30.00", "30.00"], ["get", "2.00", "1.00", "0.50"]]
