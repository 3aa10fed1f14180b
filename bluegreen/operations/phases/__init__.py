"""One module a phase: what it does, what it records first, and how it is undone."""
