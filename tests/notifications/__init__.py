"""Receivers, and what they are told."""
