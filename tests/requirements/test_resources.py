from __future__ import annotations

from pathlib import Path

from bluegreen.requirements.resources import unmet_memory, unmet_room

MIB = 2**20


def test_what_is_kept_free_comes_on_top_of_what_the_release_takes() -> None:
    room = {"free": 100 * MIB, "needed": 64 * MIB}
    assert unmet_room("shop", Path("/srv"), **room, kept=36 * MIB) == []
    (error,) = unmet_room("shop", Path("/srv"), **room, kept=37 * MIB)
    assert "needs about 64 MiB, 37 MiB are to stay free, and 100 MiB are free on /srv" in str(error)
    (error,) = unmet_room("shop", Path("/srv"), **room, kept=37 * MIB, for_data=20 * MIB)
    assert "about 64 MiB (20 MiB of it for its backup and rehearsal), 37 MiB are to" in str(error)
    assert "requires.free_disk" in error.remedy


def test_memory_is_compared_with_what_is_available() -> None:
    assert unmet_memory("shop", None) == []
    assert unmet_memory("shop", 1) == []
    (error,) = unmet_memory("shop", 2**60)
    assert "of memory are required" in error.message
