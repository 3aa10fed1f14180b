"""Which ``[[upgrade]]`` rules a deploy crosses, and what is in its way because of them.

Only a deploy crosses rules: going back, and a restart, lead to what was there before.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from packaging.version import Version

from bluegreen.config.release_rules import UpgradeRule
from bluegreen.config.settings import AppSettings
from bluegreen.config.version_numbers import fits_release, version_number
from bluegreen.errors import PreflightError

UNVERSIONED = "unversioned"  # acknowledges that it cannot be told which rules are crossed


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """A deploy of ``version`` while ``active`` serves; None: nothing has been deployed yet."""

    settings: AppSettings
    active: str | None
    version: str
    acknowledged: Collection[str] = field(default=())
    forced: bool = False  # past what keeps it from the way that it takes

    @property
    def crossed(self) -> list[UpgradeRule]:
        """The rules that are crossed for certain, in their order in the file."""
        start, end = self._numbers
        if start is None or end is None:
            return []
        return [rule for rule in self.settings.upgrade if _crosses(rule, start, end)]

    @property
    def perhaps_crossed(self) -> list[UpgradeRule]:
        """The rules of which that cannot be told, as one of the two releases has no version."""
        start, end = self._numbers
        if self.active is None or (start is not None and end is not None):
            return []
        return [
            rule
            for rule in self.settings.upgrade
            if (end is None or rule.leads_to(end)) and (start is None or rule.leads_from(start))
        ]

    @property
    def is_unversioned(self) -> bool:
        """Whether the release that is deployed has no version."""
        return self._numbers[1] is None

    @property
    def with_all_acknowledged(self) -> Upgrade:
        return replace(self, acknowledged=self.to_acknowledge)

    @property
    def command(self) -> str:
        """What is typed to deploy it, once all that it breaks is seen to."""
        return self._deploy(self.version, self.to_acknowledge)

    @property
    def acknowledgements(self) -> list[str]:
        """Those of ``acknowledged`` that this deploy needs."""
        return [text for text in self.to_acknowledge if text in self.acknowledged]

    @property
    def idle_acknowledgements(self) -> list[str]:
        """Those that it does not need: a slip of the pen, or of the memory."""
        return [text for text in self.acknowledged if text not in self.to_acknowledge]

    def unmet(self) -> list[PreflightError]:
        """All that keeps the release from being deployed now."""
        if self.forced:
            return [*self._unversioned(), *self._breaking()]
        found = [*self._floor(), *self._starting_point(), *self._unversioned()]
        if stops := self._stops():
            return [*found, self._detour(stops)]
        return [*found, *self._breaking()]

    def passed(self) -> list[PreflightError]:
        """The refusals that ``forced`` goes past; nothing else gives way to it."""
        if not self.forced:
            return []
        stops = self._stops()
        on_the_way = [self._detour(stops)] if stops else []
        return [*self._floor(), *self._starting_point(), *on_the_way]

    @property
    def _numbers(self) -> tuple[Version | None, Version | None]:
        return version_number(self.active or ""), version_number(self.version)

    @property
    def _unversioned_name(self) -> str:
        """Which of the two has no version."""
        return self.version if self.is_unversioned else str(self.active)

    @property
    def to_acknowledge(self) -> list[str]:
        """What this deploy breaks, in the words that acknowledge it."""
        texts = [rule.breaking for rule in self.crossed if rule.breaking is not None]
        unsure = self._starts_unversioned or self._ends_unversioned
        if unsure or any(_weighs(rule) for rule in self.perhaps_crossed):
            texts.append(UNVERSIONED)
        return list(dict.fromkeys(texts))

    def _deploy(
        self, version: str, acknowledging: Sequence[str] = (), *, forced: bool | None = None
    ) -> str:
        words = ["bluegreen", "deploy", self.settings.name, version]
        acks = [word for text in acknowledging for word in ("--ack", text)]
        forcing = ["--force"] if (self.forced if forced is None else forced) else []
        return shlex.join([*words, *acks, *forcing])

    @property
    def _starts_unversioned(self) -> bool:
        """Whether ``upgrade_from`` cannot be told, as what serves has no version."""
        has_to_fit = self.active is not None and self.settings.requires.upgrade_from is not None
        return has_to_fit and self._numbers[0] is None

    @property
    def _ends_unversioned(self) -> bool:
        """Whether it cannot be told that it may be deployed, as it has no version."""
        return self.settings.requires.versions is not None and self.is_unversioned

    def _floor(self) -> list[PreflightError]:
        wanted, end = self.settings.requires.versions, self._numbers[1]
        if wanted is None or end is None or fits_release(wanted, end):
            return []
        serving = "nothing serves" if self.active is None else f"{self.active} serves"
        return [
            PreflightError(
                f"{self.settings.name}: {self.version} is none of the versions that may be "
                f"deployed, {wanted}; {serving}",
                remedy=f"deploy one of {wanted}; or, if it is to be this one all the same: "
                + self._deploy(self.version, forced=True),
            )
        ]

    def _starting_point(self) -> list[PreflightError]:
        wanted, start = self.settings.requires.upgrade_from, self._numbers[0]
        if wanted is None or start is None or fits_release(wanted, start):
            return []
        return [
            PreflightError(
                f"{self.settings.name}: an upgrade is from {wanted}, and {self.active} serves, "
                "which is not",
                # It is asked of every deploy, so also of the one in between.
                remedy=f"deploy a release of {wanted} with --force, then: "
                f"{self._deploy(self.version, forced=False)}; or, if {self.version} is known to "
                f"follow {self.active}: {self._deploy(self.version, forced=True)}",
            )
        ]

    def _unversioned(self) -> list[PreflightError]:
        if UNVERSIONED not in self.to_acknowledge or UNVERSIONED in self.acknowledged:
            return []
        unknown = [_described(rule) for rule in self.perhaps_crossed if _weighs(rule)]
        if self._starts_unversioned:
            unknown.append(f"an upgrade is from {self.settings.requires.upgrade_from}")
        if self._ends_unversioned:
            unknown.append(f"what may be deployed is {self.settings.requires.versions}")
        return [
            PreflightError(
                f"{self.settings.name}: {self._unversioned_name} has no version, so that it cannot "
                "be told whether this deploy may be made",
                detail=unknown,
                remedy="name a tag with a version where there is one; or, where these are seen to: "
                + self._deploy(self.version, [*self.acknowledged, UNVERSIONED]),
            )
        ]

    def _breaking(self) -> list[PreflightError]:
        needed = [text for text in self.to_acknowledge if text != UNVERSIONED]
        missing = [text for text in needed if text not in self.acknowledged]
        if not missing:
            return []
        return [
            PreflightError(
                f"{self.settings.name}: {self.version} breaks with {self.active}, and nobody has "
                "acknowledged that",
                detail=missing,
                remedy="see to it, then: " + self.command,
            )
        ]

    def _detour(self, stops: Sequence[str]) -> PreflightError:
        spans = [rule.span for rule in self.crossed if rule.via is not None]
        path = [self._deploy(stop, forced=False) for stop in (*stops, self.version)]
        return PreflightError(
            f"{self.settings.name}: the way from {self.active} to {self.version} is by "
            f"{', then '.join(stops)}",
            detail=[f"upgrade rule {span}" for span in spans],
            remedy="deploy one after the other: " + ", then ".join(path) + "; --force goes past it",
        )

    def _stops(self) -> list[str]:
        start, end = self._numbers
        if start is None or end is None:
            return []
        return _stops(self.settings.upgrade, start, end)


def _crosses(rule: UpgradeRule, start: Version, end: Version) -> bool:
    return rule.leads_from(start) and rule.leads_to(end)


def _stops(rules: Sequence[UpgradeRule], start: Version, end: Version) -> list[str]:
    """The versions to be deployed in between, in their order.

    Each rule sends round once, so that rules which contradict each other come to an end too.
    """
    detours = {
        number: rule
        for rule in reversed(rules)
        if rule.via is not None
        and (number := version_number(rule.via)) is not None
        and _crosses(rule, start, end)
    }
    if not detours:
        return []
    stop = min(detours)
    rest = [rule for rule in rules if rule is not detours[stop]]
    return [
        *_stops(rest, start, stop),
        str(detours[stop].via),
        *_stops(rest, stop, end),
    ]


def _weighs(rule: UpgradeRule) -> bool:
    """Whether crossing it unawares may do harm."""
    return rule.breaking is not None or rule.via is not None


def _described(rule: UpgradeRule) -> str:
    words = [rule.breaking, None if rule.via is None else f"by way of {rule.via}"]
    return f"{rule.span}: {'; '.join(word for word in words if word is not None)}"
