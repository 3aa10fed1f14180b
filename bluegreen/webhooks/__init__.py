"""Deliveries from outside that ask for a release: who signed them, what they say, what is done."""
