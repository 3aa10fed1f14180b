"""What the parser knows, for shells that complete it and for the manual page."""
