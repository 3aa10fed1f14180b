"""What an app file may not say of a name for previews."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration
from tests.config.test_hold_use import load

NAME = 'server_name = ["next.example.org"]'


@pytest.mark.parametrize(
    ("lines", "nginx", "key", "said"),
    [
        (NAME, 'mode = "upstream"', "server_name", "are the administrator's own"),
        (NAME, 'server_name = ["a.b", "NEXT.example.org"]', "server_name[0]", "name of the site"),
        (NAME, 'mode = "snippet"\nserver_name = ["next.example.org"]', "server_name[0]", "site"),
        ('server_name = ["_"]', "", "server_name[0]", "would see what does not serve"),
        ('server_name = ["next.example.org:81"]', "", "server_name[0]", 'or "*.next.example.org"'),
        ('server_name = ["n.test", "N.test"]', "", "server_name[1]", "preview.server_name[0]"),
        ('allow = ["10.0.0.0/8"]', "", "", 'Add one, such as server_name = ["next.example.org"]'),
        (f'{NAME}\nallow = ["10.1.2.3/8"]', "", "allow[0]", 'network such as "10.0.0.0/8"'),
        (f'{NAME}\nallow = ["fe80::1%eth0"]', "", "allow[0]", "Write it without the zone"),
        (f'{NAME}\nallow = ["::ffff:10.0.0.0/104"]', "", "allow[0]", 'Write "10.0.0.0/8"'),
        (f'{NAME}\nallow = ["0.0.0.0/0"]', "", "allow[0]", "0.0.0.0/0 is everybody"),
        (f'{NAME}\nallow = ["::1", "::/0"]', "", "allow[1]", "Write the networks of those who may"),
        (f'{NAME}\nallow = ["::ffff:0.0.0.0/96"]', "", "allow[0]", "/96 is everybody"),
        (f'{NAME}\nallow = ["::1", "::1/128"]', "", "allow", "::1/128 is listed twice"),
        ("server_name = {}", "", "server_name", "Write a list in brackets"),
        (f'{NAME}\nallow = ["intranet"]', "", "allow[0]", "an IP address"),
        (f'{NAME}\nalow = ["::1"]', "", "alow", "allow"),
    ],
)
def test_what_is_wrong_with_it_is_said_with_its_key(
    tmp_path: Path, lines: str, nginx: str, key: str, said: str
) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        load(tmp_path, f"\n[nginx]\n{nginx}\n[preview]\n{lines}\n")
    (problem,) = refused.value.problems
    assert problem.key == f"preview.{key}".rstrip(".")
    assert said in str(problem)


def test_nobody_is_let_in_without_a_key_unless_it_says_so(tmp_path: Path) -> None:
    assert load(tmp_path, "").preview.server_name == ()
    assert load(tmp_path, f"\n[preview]\n{NAME}\n").preview.allow == ()
    text = f'\n[preview]\n{NAME}\nallow = ["10.0.0.0/8", "::1"]\n'
    networks = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert load(tmp_path, text).preview.allow == networks
