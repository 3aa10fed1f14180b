"""Looks at a host, or at a root of its own, for what keeps bluegreen from its work."""
