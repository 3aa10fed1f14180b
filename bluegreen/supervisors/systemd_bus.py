"""systemd over D-Bus: calls, jobs awaited to their end, and every change of the units asked about.

The connection is kept: when the bus goes away (its daemon is restarted), calls wait for the next
one, and then everything that is listened to is read anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError
from dbus_fast.unpack import unpack_variants

from bluegreen.errors import SupervisorError
from bluegreen.processes import tell_if_failed

logger = logging.getLogger(__name__)

SYSTEMD = "org.freedesktop.systemd1"
MANAGER_PATH = "/org/freedesktop/systemd1"
MANAGER = "org.freedesktop.systemd1.Manager"
UNIT = "org.freedesktop.systemd1.Unit"
SERVICE = "org.freedesktop.systemd1.Service"
PROPERTIES = "org.freedesktop.DBus.Properties"
BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"

CONNECT_TIMEOUT = 5.0  # seconds for one attempt
CALL_TIMEOUT = 20.0  # seconds, a new connection in the middle included
FIRST_DELAY, LONGEST_DELAY = 0.05, 5.0  # seconds between attempts to connect again
AWAY_DELAY = 0.1  # seconds between attempts to call a systemd that is not on the bus yet

NO_SUCH_UNIT = f"{SYSTEMD}.NoSuchUnit"
LOST = "lost"  # what became of a job when nobody could hear it
_ALREADY_SUBSCRIBED = f"{SYSTEMD}.AlreadySubscribed"
_AWAY = tuple(
    f"{BUS}.Error.{name}"
    for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "TimedOut")
)
_DENIED = (f"{BUS}.Error.AccessDenied", f"{BUS}.Error.InteractiveAuthorizationRequired")
_CONNECTION_LOST = (OSError, EOFError, DBusFastError)
_RULES = (
    f"type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'",
    f"type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',"
    f"path_namespace='{MANAGER_PATH}/unit'",
    f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{SYSTEMD}'",
)

Listener = Callable[[dict[str, Any]], None]


class RefusedBySystemdError(SupervisorError):
    """systemd's own no. ``name`` is the D-Bus error's."""

    def __init__(self, name: str, message: str, *, remedy: str, detail: Sequence[str] = ()) -> None:
        super().__init__(message, remedy=remedy, detail=detail)
        self.name = name


async def unless_gone(asking: Awaitable[Any]) -> None:
    """Ask something of a unit that may be there no more. Raises as ``asking`` does otherwise."""
    try:
        await asking
    except RefusedBySystemdError as refusal:
        # Not loaded, or without any process: there is nothing to kill, to stop or to reset.
        if not refusal.name.endswith((".NoSuchUnit", ".NoSuchProcess")):
            raise


def unit_path(unit: str) -> str:
    """The object path of a unit, loaded or not (escaped as sd_bus_path_encode(3) says)."""
    plain = "".join(
        c if c.isascii() and (c.isalpha() or (c.isdigit() and index > 0)) else f"_{ord(c):02x}"
        for index, c in enumerate(unit)
    )
    return f"{MANAGER_PATH}/unit/{plain}"


class _JobWait:
    """What is heard of one unit's jobs while one of them is awaited."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.results: dict[str, str] = {}
        self.heard = asyncio.Event()


class Systemd:
    """The connection to PID 1. ``close`` it in the loop it was opened in."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._bus: MessageBus | None = None
        self._connected = asyncio.Event()
        self._disturbed = asyncio.Event()  # what is known may be out of date
        self._owner = ""  # systemd's own name on the bus: anybody may send us a signal
        self._listeners: dict[str, Listener] = {}
        self._halves: dict[str, dict[str, Any]] = {}
        self._heard: Counter[str] = Counter()  # changes told of, by the listeners' paths
        self._waits: set[_JobWait] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._watches: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect, and keep connected from now on. Raises SupervisorError."""
        try:
            await self._connect()
        except (*_CONNECTION_LOST, SupervisorError) as error:
            raise SupervisorError(
                f"systemd cannot be asked over D-Bus: {str(error) or type(error).__name__}",
                remedy="is this a host that systemd has booted, and does its bus run? "
                "`systemctl status dbus`; elsewhere: --supervisor embedded",
            ) from error
        self._keeper = asyncio.create_task(self._keep(), name="keep the bus")
        self._keeper.add_done_callback(tell_if_failed)

    async def close(self) -> None:
        """Let go of the bus; what runs, runs on."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._bus is not None and self._bus.connected:
            self._bus.disconnect()
        if self._watches:
            await asyncio.wait(self._watches, timeout=CONNECT_TIMEOUT)
        self._connected.clear()

    def listen(self, unit: str, listener: Listener) -> None:
        """Have ``listener`` called with what has changed of a unit's properties, all at a time."""
        self._listeners[unit_path(unit)] = listener

    def forget(self, unit: str) -> None:
        path = unit_path(unit)
        self._listeners.pop(path, None)
        del self._heard[path]

    async def call(
        self,
        member: str,
        signature: str = "",
        *body: object,
        path: str = MANAGER_PATH,
        interface: str = MANAGER,
        timeout: float = CALL_TIMEOUT,
    ) -> list[Any]:
        """What a method of systemd's answers, variants unpacked.

        Asked again when the answer is lost with the bus: only for what may be said twice.
        Raises RefusedBySystemdError, and SupervisorError without an answer for ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    bus = await self._connection()
                    try:
                        return await _ask(bus, SYSTEMD, path, interface, member, signature, body)
                    except RefusedBySystemdError as refusal:
                        if refusal.name not in _AWAY:
                            raise
                    except _CONNECTION_LOST as error:
                        logger.info("no answer to %s: %r", member, error)
                    await asyncio.sleep(AWAY_DELAY)
        except TimeoutError as error:
            raise SupervisorError(
                f"systemd does not answer over D-Bus ({member}, within {timeout:g} s)",
                remedy="`systemctl status dbus` and `systemctl list-jobs` show what holds it",
            ) from error

    async def properties(self, unit: str, interface: str = "") -> dict[str, Any]:
        """The properties of a unit, all or those of one interface, which is cheaper.

        Loads it; ``LoadState`` says whether it is there.
        """
        return await self._read(unit_path(unit), interface)

    async def _read(self, path: str, interface: str = "") -> dict[str, Any]:
        """All as it is now: what is listened to may change before the answer gets to its reader."""
        while True:
            heard = self._heard[path]
            (found,) = await self.call("GetAll", "s", interface, path=path, interface=PROPERTIES)
            if self._heard[path] == heard:
                return dict(found)

    async def service_property(self, unit: str, name: str) -> Any:
        """One property of a service, now."""
        path = unit_path(unit)
        (value,) = await self.call("Get", "ss", SERVICE, name, path=path, interface=PROPERTIES)
        return value

    async def job(self, method: str, unit: str, *, timeout: float | None) -> str:
        """Start, stop or restart a unit, and wait for the end of that: its result, as ``done``.

        LOST where the bus was away when it ended. Raises RefusedBySystemdError, and SupervisorError
        after ``timeout`` seconds.
        """
        wait = _JobWait(unit)
        self._waits.add(wait)
        try:
            async with asyncio.timeout(timeout):
                (path,) = await self.call(method, "ss", unit, "replace")
                while path not in wait.results:
                    wait.heard.clear()
                    await wait.heard.wait()
                    if path not in wait.results and not await self._is_queued(unit, path):
                        return wait.results.get(path, LOST)
                return wait.results[path]
        except TimeoutError as error:
            raise SupervisorError(
                f"systemd has not finished {method} of {unit} within {timeout:g} s",
                remedy=f"`systemctl status {unit}` and `systemctl list-jobs` show what it awaits",
            ) from error
        finally:
            self._waits.discard(wait)

    async def _is_queued(self, unit: str, path: str) -> bool:
        job = await self.call("Get", "ss", UNIT, "Job", path=unit_path(unit), interface=PROPERTIES)
        return bool(job[0][1] == path)

    # -- the connection ---------------------------------------------------------------------

    async def _connection(self) -> MessageBus:
        while self._bus is None:
            await self._connected.wait()
        return self._bus

    async def _connect(self) -> None:
        bus = MessageBus(
            bus_address=self._address, bus_type=BusType.SYSTEM, auth_timeout=CONNECT_TIMEOUT
        )
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await bus.connect()
            try:
                bus.add_message_handler(self._hear)
                for rule in _RULES:
                    await _ask(bus, BUS, BUS_PATH, BUS, "AddMatch", "s", [rule])
                await self._subscribe(bus)
            except BaseException:
                bus.disconnect()
                raise
        watch = asyncio.create_task(self._watch(bus), name="watch the bus")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        self._bus = bus
        self._connected.set()

    async def _subscribe(self, bus: MessageBus) -> None:
        try:
            await _ask(bus, SYSTEMD, MANAGER_PATH, MANAGER, "Subscribe", "", [])
        except RefusedBySystemdError as refusal:
            if refusal.name != _ALREADY_SUBSCRIBED:
                raise
        (self._owner,) = await _ask(bus, BUS, BUS_PATH, BUS, "GetNameOwner", "s", [SYSTEMD])

    async def _watch(self, bus: MessageBus) -> None:
        try:
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except Exception as error:  # whatever dbus-fast met, the connection is gone
            logger.warning("the connection to D-Bus is lost: %r", error)
        if self._bus is bus:
            self._bus = None
            self._connected.clear()
            self._disturbed.set()

    async def _keep(self) -> None:
        while True:
            await self._disturbed.wait()
            self._disturbed.clear()
            delay = FIRST_DELAY
            while not await self._is_current():
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY)

    async def _is_current(self) -> bool:
        """Connect where there is no connection, and read everything anew; whether that worked."""
        try:
            if self._bus is None:
                await self._connect()
            else:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._subscribe(self._bus)
            for path, listener in list(self._listeners.items()):
                found = await self._read(path)
                if self._listeners.get(path) is listener:
                    listener(found)
        except (*_CONNECTION_LOST, SupervisorError) as error:
            logger.warning("systemd cannot be asked yet: %s", str(error) or repr(error))
            return False
        for wait in self._waits:
            wait.heard.set()
        return True

    # -- signals ----------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == BUS and message.member == "NameOwnerChanged":
            if message.body[0] == SYSTEMD and message.body[2]:
                self._disturbed.set()  # PID 1 has executed itself anew, or is back on the bus
            return
        if message.sender != self._owner:
            return
        if message.member == "JobRemoved" and message.interface == MANAGER:
            _, path, unit, result = message.body
            for wait in self._waits:
                if wait.unit == unit:
                    wait.results[path] = result
                    wait.heard.set()
        elif message.member == "PropertiesChanged" and message.path in self._listeners:
            self._hear_change(message.path, message.body[0], message.body[1])

    def _hear_change(self, path: str, interface: str, changed: dict[str, Any]) -> None:
        self._heard[path] += 1
        # systemd tells of the service first and of the unit second, of the same instant.
        if interface == SERVICE:
            self._halves[path] = unpack_variants(changed)
        elif interface == UNIT:
            self._listeners[path](self._halves.pop(path, {}) | unpack_variants(changed))


async def _ask(
    bus: MessageBus,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str,
    body: Sequence[object],
) -> list[Any]:
    reply = await bus.call(
        Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
    )
    if reply is None:
        raise EOFError("the bus went away")
    if reply.message_type is MessageType.ERROR:
        raise _refusal(reply.error_name or "", str(reply.body[0]) if reply.body else "", member)
    return list(unpack_variants(reply.body))


def _refusal(name: str, text: str, member: str) -> RefusedBySystemdError:
    if name in _DENIED:
        return RefusedBySystemdError(
            name,
            f"systemd does not let this user do that ({member}): {text}",
            remedy="the polkit rule that lets the daemon manage its units is missing or not in "
            "force: `bluegreen apply` as root, and is polkit installed?",
        )
    remedy = "`journalctl -b` says what it met"
    if name == NO_SUCH_UNIT:
        remedy = "unit files are written by `bluegreen apply`, as root"
    return RefusedBySystemdError(name, f"systemd refused {member}: {text}", remedy=remedy)
