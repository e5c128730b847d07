"""One person's keys in Redis, in plain Python. Machines in tests/delivery/models compare it with the real scripts."""
