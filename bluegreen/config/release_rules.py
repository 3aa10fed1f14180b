"""``[requires]`` and ``[[upgrade]]``: what a release asks of its host and of the one before it."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version
from pydantic import Field, model_validator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import (
    CommandName,
    DefaultText,
    ReleaseVersion,
    Sentence,
    Size,
    Specifiers,
    VariableName,
)
from bluegreen.config.version_numbers import fits_release, version_number


class Requirements(Section):
    """``[requires]``: looked at in the preflight, before anything is touched."""

    commands: dict[CommandName, Specifiers] = Field(default={})
    sqlite: Specifiers | None = None
    free_disk: Size | None = None  # bytes, on top of what the release itself takes
    memory: Size | None = None  # bytes
    env: tuple[VariableName, ...] = ()
    upgrade_from: Specifiers | None = None
    versions: Specifiers | None = None  # that may be deployed


class UpgradeRule(Section):
    """``[[upgrade]]``: what holds when a deploy leads from a version of ``from`` to one of ``to``.

    Without ``from``, that is every version which is not one of ``to``.
    """

    to: Specifiers
    from_: Specifiers | None = Field(default=None, alias="from")
    breaking: Sentence | None = None
    env: dict[VariableName, DefaultText] = Field(default={})
    via: ReleaseVersion | None = None

    @model_validator(mode="after")
    def _says_something(self) -> UpgradeRule:
        if self.breaking is None and not self.env and self.via is None:
            raise ValueRefusedError(
                "the rule has neither breaking nor env nor via",
                'Say what the upgrade brings, such as breaking = "new audit_logs table"',
            )
        return self

    @model_validator(mode="after")
    def _via_leads_on(self) -> UpgradeRule:
        stop = None if self.via is None else version_number(self.via)
        if stop is None:
            return self
        if self.leads_to(stop):
            raise ValueRefusedError(
                f"via = {self.via} is one of to, so that the way there would need it too",
                'Let to begin after via, as in to = ">=2.3" with via = "2.2"',
            )
        if self.leads_from(stop):
            raise ValueRefusedError(
                f"via = {self.via} is one of from, so that it would lead nowhere",
                'Let from end before via, as in from = "<2.2" with via = "2.2"',
            )
        return self

    def leads_to(self, version: Version) -> bool:
        return fits_release(self.to, version)

    def leads_from(self, version: Version) -> bool:
        if self.from_ is None:
            return not self.leads_to(version)
        return fits_release(self.from_, version)

    @property
    def span(self) -> str:
        """``from <2.2 to >=2.2``: for people."""
        return f"to {self.to}" if self.from_ is None else f"from {self.from_} to {self.to}"


def variable_defaults(rules: Sequence[UpgradeRule], version: str) -> dict[str, str]:
    """The variables that a release has by the rules whose ``to`` it is in, unexpanded.

    Of two rules for one variable the later counts.
    """
    number = version_number(version)
    if number is None:
        return {}
    return {
        name: value for rule in rules if rule.leads_to(number) for name, value in rule.env.items()
    }
