"""The page of figures, taken apart."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Page:
    """``values`` are by the name of a sample and its labels, such as ``("x", ("app", "shop"))``."""

    text: str
    names: frozenset[str]  # of families, as they are typed
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, sample: str, **labels: str) -> float | None:
        """Of exactly these labels; None where there is no such sample."""
        return self.values.get((sample, frozenset(labels.items())))


def parsed(text: str) -> Page:
    families = list(text_string_to_metric_families(text))
    return Page(
        text=text,
        names=frozenset(family.name for family in families),
        values={
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        },
    )


async def collect(client: aiohttp.ClientSession, **headers: str) -> Page:
    async with client.get("/metrics", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/plain"
        return parsed(await response.text())
