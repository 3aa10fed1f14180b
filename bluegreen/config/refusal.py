"""How a validator says both what is wrong and what would be right."""

from __future__ import annotations


class ValueRefusedError(ValueError):
    """A value that cannot be used; ``wrong`` and ``right`` are sentences without a full stop."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(f"{wrong}; {right}")
        self.wrong = wrong
        self.right = right
