"""A release told on one page, to send to people: HTML that stands on its own."""
