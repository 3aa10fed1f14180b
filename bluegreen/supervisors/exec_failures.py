"""What a unit ends with when systemd itself could not execute it, in words (systemd.exec(5))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bluegreen.config.layers import key_of

NO_GROUP = 219
_NO_SECRETS = 243

_DIRECTORIES = "let root make the app's directories, and see to their owners: sudo bluegreen apply"
_LIMITS = "ask for less in the service's `limits`, then: sudo bluegreen apply"
_SANDBOX = (
    "`systemctl cat` shows the unit: a directory that it names may be missing, which `sudo "
    'bluegreen apply` makes; where the host forbids such sandboxes, sandbox = "off" in the app '
    "file does without"
)
_UNIT = (
    "`systemctl cat` shows the unit and what was added to it; `sudo bluegreen apply` writes ours"
)
_USER = "create it (useradd --system --user-group NAME) or correct app.user: sudo bluegreen apply"


@dataclass(frozen=True)
class ExecFailure:
    """``name`` is systemd's, ``reason`` a clause, ``remedy`` what to do about it."""

    name: str
    reason: str
    remedy: str = _UNIT


_FAILURES = {
    200: ExecFailure("CHDIR", "its directory cannot be entered by its user", _DIRECTORIES),
    201: ExecFailure("NICE", "its priority cannot be set"),
    202: ExecFailure("FDS", "its file descriptors cannot be arranged"),
    203: ExecFailure(
        "EXEC",
        "its command cannot be executed",
        "see that the first word of ExecStart= is a program that its user may run: `systemctl cat`"
        " shows it; bluegreen's own are put there by deploy/install",
    ),
    204: ExecFailure("MEMORY", "no memory was left to execute it", "free some memory"),
    205: ExecFailure("LIMITS", "its limits cannot be set", _LIMITS),
    206: ExecFailure("OOM_ADJUST", "its place before the OOM killer cannot be set"),
    207: ExecFailure("SIGNAL_MASK", "its signals cannot be arranged"),
    208: ExecFailure("STDIN", "its standard input cannot be opened"),
    209: ExecFailure("STDOUT", "its output cannot be opened"),
    210: ExecFailure("CHROOT", "its root directory cannot be entered"),
    211: ExecFailure("IOPRIO", "its I/O priority cannot be set"),
    212: ExecFailure("TIMERSLACK", "its timer slack cannot be set"),
    213: ExecFailure("SECUREBITS", "its secure bits cannot be set"),
    214: ExecFailure("SETSCHEDULER", "its scheduling cannot be set"),
    215: ExecFailure("CPUAFFINITY", "the CPUs that it may use cannot be set"),
    216: ExecFailure("GROUP", "its group does not exist", _USER),
    217: ExecFailure("USER", "its user does not exist", _USER),
    218: ExecFailure("CAPABILITIES", "its capabilities cannot be dropped"),
    NO_GROUP: ExecFailure("CGROUP", "its control group cannot be entered"),
    220: ExecFailure("SETSID", "it cannot have a session of its own"),
    221: ExecFailure("CONFIRM", "somebody at the console did not let it start"),
    222: ExecFailure("STDERR", "its error output cannot be opened"),
    224: ExecFailure("PAM", "PAM does not let its user in"),
    225: ExecFailure("NETWORK", "its network cannot be set up", _SANDBOX),
    226: ExecFailure("NAMESPACE", "its sandbox cannot be set up", _SANDBOX),
    227: ExecFailure("NO_NEW_PRIVILEGES", "new privileges cannot be barred from it", _SANDBOX),
    228: ExecFailure("SECCOMP", "its system calls cannot be filtered", _SANDBOX),
    229: ExecFailure("SELINUX_CONTEXT", "its SELinux context cannot be set"),
    230: ExecFailure("PERSONALITY", "its personality cannot be set"),
    231: ExecFailure("APPARMOR", "its AppArmor profile cannot be entered"),
    232: ExecFailure("ADDRESS_FAMILIES", "its kinds of sockets cannot be restricted", _SANDBOX),
    233: ExecFailure("RUNTIME_DIRECTORY", "its runtime directory cannot be made"),
    235: ExecFailure("CHOWN", "its socket cannot be given to its user"),
    236: ExecFailure("SMACK_PROCESS_LABEL", "its SMACK label cannot be set"),
    237: ExecFailure("KEYRING", "its keyring cannot be set up"),
    238: ExecFailure("STATE_DIRECTORY", "its state directory cannot be made"),
    239: ExecFailure("CACHE_DIRECTORY", "its cache directory cannot be made"),
    240: ExecFailure("LOGS_DIRECTORY", "its log directory cannot be made"),
    241: ExecFailure("CONFIGURATION_DIRECTORY", "its configuration directory cannot be made"),
    242: ExecFailure("NUMA_POLICY", "its NUMA policy cannot be set"),
    _NO_SECRETS: ExecFailure(
        "CREDENTIALS",
        "a secret cannot be given to it",
        "see that root can read all of its secrets, of at most 1 MiB each: sudo bluegreen check",
    ),
    244: ExecFailure("BPF", "its BPF restrictions cannot be set", _SANDBOX),
}
STATUSES = {status: failure.name for status, failure in _FAILURES.items()}


def in_words(status: int) -> str | None:
    """``its user does not exist (217/USER)``; None for a status that is none of systemd's."""
    failure = _FAILURES.get(status)
    return None if failure is None else f"{failure.reason} ({status}/{failure.name})"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Of a unit that was not executed: a clause to add, more lines, and what to do about it."""

    more: str
    detail: tuple[str, ...]
    remedy: str


def explain(properties: Mapping[str, Any], status: int | None) -> Explanation | None:
    """What can be said beyond the words for ``status``; None if systemd did execute it.

    ``properties`` are all of the unit's, as they were when it had ended.
    """
    failure = None if status is None else _FAILURES.get(status)
    if failure is None:
        return None
    if status != _NO_SECRETS:
        return Explanation(more="", detail=(), remedy=failure.remedy)
    secrets = [(key_of(name), file) for name, file in properties.get("LoadCredential", ())]
    if missing := [(key, file) for key, file in secrets if file in _absent(properties)]:
        return Explanation(
            more=": " + ", ".join(f"{key} ({file} is not there)" for key, file in missing),
            detail=(),
            remedy=f"put the secret into {' and '.join(dict.fromkeys(f for _, f in missing))}, for "
            "root alone to read (mode 0600), or correct the app file and apply it (sudo bluegreen "
            "apply); then try again",
        )
    listed = tuple(f"{key} is {file}" for key, file in secrets)
    return Explanation(more="", detail=listed, remedy=failure.remedy)


def _absent(properties: Mapping[str, Any]) -> set[str]:
    """The files of secrets that are not there.

    The daemon may not look; but a unit lists them as conditions of which one is enough, and
    systemd, as root, says of each whether it was met.
    """
    return {
        parameter
        for _, is_trigger, _, parameter, state in properties.get("Conditions", ())
        if is_trigger and state < 0
    }
