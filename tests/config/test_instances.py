"""``instances``: several processes of a service in each slot, each at an address of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.environment import service_environment
from bluegreen.config.load import check_files, load_app
from bluegreen.config.placeholders import slot_values
from bluegreen.layout import Layout
from bluegreen.model import Address, Slot
from tests.config.samples import SHOP, problems_of, write

API, WEB, WORKER = "[services.api]\n", "[services.web]\n", "[services.worker]\n"
SOCKETS = '"web-blue.sock", green = "web-green.sock"'
OWN_SOCKETS = '"web-blue-{instance}.sock", green = "web-green-{instance}.sock"'


def with_instances(number: int, *services: str, shop: str = SHOP) -> str:
    for service in services or (API,):
        shop = shop.replace(service, f"{service}instances = {number}\n")
    return shop


def test_each_has_the_next_port_or_its_number_in_its_socket_and_workers_may_be_several(
    tmp_path: Path,
) -> None:
    text = with_instances(3, API, WEB, WORKER).replace(SOCKETS, OWN_SOCKETS)
    text = text.replace("--port {port}", "--port {port} --number {instance}")
    text = text.replace('FORMAT = "{{level}}"', 'NUMBER = "{instance} {port} {ports.api}"')
    for line in ('TOKEN = { file = "/etc/bluegreen/secrets/jwt" }', 'env_file = "/etc/shop.env"'):
        text = text.replace(line, "")  # there are no such files here
    shop = load_app(write(tmp_path, text))
    run = Path("/run/shop")
    api, web, worker = (shop.services[name] for name in ("api", "web", "worker"))
    assert [one.port for one in api.addresses(Slot.GREEN, run)] == [9183, 9184, 9185]
    assert web.addresses(Slot.BLUE, run) == tuple(
        Address(socket=run / f"web-blue-{number}.sock") for number in (1, 2, 3)
    )
    assert worker.instances == 3
    assert worker.addresses(Slot.BLUE, run) == ()
    layout, tree = Layout(Path("/srv")).app("shop"), Path("/tree")
    values = slot_values(
        shop, layout, Slot.BLUE, version="v1", tree=tree, service="web", instance=2
    )
    # Its own, and of others those of their first instance.
    assert values["socket"] == str(layout.run / "web-blue-2.sock")
    assert values["sockets.web"] == str(layout.run / "web-blue-1.sock")
    assert (values["instance"], values["ports.api"]) == ("2", "9083")
    variables = service_environment(
        shop, layout, Slot.GREEN, "api", version="v1", tree=tree, instance=3
    ).variables
    assert (variables["NUMBER"], variables["PORT"]) == ("3 9185 9183", "9185")


@pytest.mark.parametrize(
    ("text", "key", "wrong", "right"),
    [
        (with_instances(0), "services.api.instances", "0", "1"),
        (with_instances(65), "services.api.instances", "65", "64"),
        (
            with_instances(2, WEB), "services.web.sockets.blue",
            "2 instances cannot all listen on one socket", '"web-blue-{instance}.sock"',
        ),
        (
            with_instances(10).replace("9183", "65530"), "services.api.ports.green",
            "the last of 10 instances would listen on port 65539", "65526 at the most",
        ),
        (
            SHOP.replace('MODE = "{slot}"', 'MODE = "{instance}"'),
            "env.MODE", "there is no placeholder {instance} here", "",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place_and_its_remedy(
    tmp_path: Path, text: str, key: str, wrong: str, right: str
) -> None:
    problem = next(problem for problem in problems_of(tmp_path, text) if problem.key == key)
    assert problem.line is not None
    assert wrong in problem.wrong
    assert right in problem.right


def test_the_ports_of_all_of_them_are_spoken_for(tmp_path: Path) -> None:
    """Between the slots, between apps, before nginx and what is replaced: told once each."""
    layout = Layout(tmp_path)
    own = write(tmp_path, with_instances(3).replace("9183", "9085"))
    (problem,) = check_files([own], layout)
    assert problem.key == "services.api.ports.green"
    assert problem.wrong == (
        "of its 3 instances: port 9085 is also services.api.ports.blue (instance 3 of 3)"
    )

    others = with_instances(4).replace('"shop"', '"mall"').replace("shop.example", "mall.example")
    others = others.replace("9083", "9280").replace("9183", "9182")
    shop, mall = write(tmp_path, with_instances(2)), tmp_path / "mall.toml"
    mall.write_text(others.replace('listen = ["80", "[::]:80"]', 'listen = ["9184"]'))
    keys = {problem.key: problem for problem in check_files([shop, mall], layout)}
    assert keys["services.api.ports.green"].wrong.startswith(
        "of its 4 instances: port 9183 is also services.api.ports.green of app shop"
    )
    assert keys["nginx.listen[0]"].wrong == (
        f"port 9184 is also services.api.ports.green (instance 2 of 2) of app shop ({shop})"
    )

    replaces = with_instances(3, shop=SHOP.replace('switch = "reload"', 'switch = "marker"'))
    file = write(tmp_path, replaces.replace(API, f'{API}replaces = "127.0.0.1:9185"\n'))
    (problem,) = check_files([file], layout)
    assert problem.key == "services.api.replaces"
