"""What a service of a release is run as."""

from __future__ import annotations

from bluegreen.config.environment import default_variables, service_environment
from bluegreen.config.placeholders import expand_argv, slot_values
from bluegreen.config.settings import AppSettings
from bluegreen.errors import NotFoundError
from bluegreen.layout import AppLayout
from bluegreen.model import ServiceUnit, SlotRecord, UnitKey


def unit_of(
    settings: AppSettings, layout: AppLayout, key: UnitKey, record: SlotRecord
) -> ServiceUnit:
    """The unit of an instance of the release in ``record``. Reads secret files: blocking.

    Raises NotFoundError where there is no release, ConfigError for a file that cannot be used, and
    KeyError for a service that the app file does not name.
    """
    version, tree = record.version, record.tree
    if tree is None or version is None:
        raise NotFoundError(
            f"{key.app}: the {key.slot} slot holds no release",
            remedy=f"deploy one: bluegreen deploy {key.app} VERSION",
        )
    service = settings.services[key.service]
    values = slot_values(
        settings, layout, key.slot,
        version=version, tree=tree, service=key.service, instance=key.instance,
    )  # fmt: skip
    environment = service_environment(
        settings, layout, key.slot, key.service,
        version=version, tree=tree, instance=key.instance,
    )  # fmt: skip
    return ServiceUnit(
        key=key,
        argv=tuple(expand_argv(service.command, values)),
        cwd=tree,
        env=environment.variables,
        stop_timeout=service.stop_timeout,
        log_file=layout.service_log(key.slot, key.place),
        ready_within=settings.ready_within(key.service),
        defaults=default_variables(settings, layout, key.slot, version=version, tree=tree),
    )
