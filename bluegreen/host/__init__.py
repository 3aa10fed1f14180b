"""What an administrator's ``bluegreen apply`` writes on a systemd host."""
