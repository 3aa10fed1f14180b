"""A real systemd host, booted by the tests."""
