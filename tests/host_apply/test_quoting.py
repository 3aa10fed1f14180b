"""Whatever an app file says, systemd hands it over as one value and as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bluegreen.errors import ConfigError
from bluegreen.host.quoting import argument, assignment, is_path, is_writable, path
from tests.host.lab import Host

UNIT = "etc/systemd/system/quoted.service"
DUMP = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open('/run/said', 'w'))"
TEXTS = st.text(
    st.one_of(
        st.sampled_from("%$\"'\\;#{}@-:+! \t\n=~nx0"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
).filter(is_writable)


async def _said(host: Host, words: list[str], variables: dict[str, str]) -> Any:
    """The arguments and the environment of a process that a unit with these has started."""
    environment = "".join(f"Environment={assignment(k, v)}\n" for k, v in variables.items())
    command = " ".join(argument(word) for word in ("-c", DUMP, *words))
    (host.root / UNIT).write_text(
        f"[Service]\nType=oneshot\n{environment}ExecStart=/usr/bin/python3 {command}\n"
    )
    verified = await host.run("systemd-analyze", "verify", "quoted.service")
    assert verified.output == ""
    await host.run("systemctl", "daemon-reload")
    await host.run("systemctl", "start", "quoted.service")
    return json.loads((await host.run("cat", "/run/said")).output)


NASTY = [
    "",
    ";",
    "%n %%",
    "$HOME ${HOME} $$",
    'a"b\\',
    "\\n \\x41 \\",
    "'",
    "a\nb\tc",
    "-",
    "é\u2028",
]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=st.lists(TEXTS, max_size=6))
@example(words=NASTY)
async def test_systemd_hands_values_over_as_they_are(host: Host, words: list[str]) -> None:
    variables = {f"V{number}": word for number, word in enumerate(words)}
    argv, environment = await _said(host, words, variables)
    assert argv == words
    assert {name: environment[name] for name in variables} == variables


@pytest.mark.parametrize(
    "text", ["\0", "\r", "\x1b[0m", "\x7f", "\ud800", "\ufdd0", "\uffff", "\U0001fffe"]
)
def test_what_a_unit_cannot_carry_is_refused_and_not_repeated(text: str) -> None:
    assert not is_writable(text)
    with pytest.raises(ConfigError) as refused:
        argument(f"secret{text}")
    assert "secret" not in "".join(refused.value.lines())
    with pytest.raises(ConfigError):
        assignment("A", text)


@pytest.mark.parametrize(
    "text", ["", "relative", "/a b", "/a\\", '/"', "/a'", "/a\nUser=root", "/a\t"]
)
def test_a_path_that_could_be_misread_is_refused(text: str) -> None:
    assert not is_path(text)
    with pytest.raises(ConfigError):
        path(text)


def test_a_path_keeps_its_percent_signs() -> None:
    assert path("/srv/100%/é;#$") == "/srv/100%%/é;#$"
