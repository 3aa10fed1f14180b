"""Looks around an app's directory: what builds it, what runs it. Nothing in it is ever run."""
