"""Telling others what happens: webhooks, services of Apprise, forges; all from an outbox."""
