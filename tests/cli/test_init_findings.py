"""What ``bluegreen init`` finds in real directories; each file it writes is one that loads."""

from __future__ import annotations

import json
import os

import pytest

from bluegreen.config.settings import SlotPorts
from tests.cli.shop import UNITS, Place, write
from tests.config.samples import small_app

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


def test_a_python_project_gets_an_environment_and_a_server(place: Place) -> None:
    shop = place.init({"requirements.txt": "flask\ngunicorn\n", "app.py": FLASK})
    assert [step.run for step in shop.build] == [
        "python3 -m venv .venv &&\n.venv/bin/pip install -r requirements.txt\n"
    ]
    web = shop.services["web"]
    assert web.command == ".venv/bin/gunicorn app:app --bind 127.0.0.1:{port}"
    assert web.ports == SlotPorts(blue=8000, green=8100)
    assert [(route.path, route.service) for route in shop.routes] == [("/", "web")]
    assert [probe.label for probe in shop.gate.probes] == ["tcp"]


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"requirements.txt": "fastapi", "shop/main.py": "api: FastAPI = FastAPI()"},
         ".venv/bin/uvicorn shop.main:api --host 127.0.0.1 --port {port}"),
        ({"manage.py": "", "shop/wsgi.py": "", "requirements.txt": "Django\ngunicorn==23"},
         ".venv/bin/gunicorn shop.wsgi:application --bind 127.0.0.1:{port}"),
        ({"manage.py": "", "requirements.txt": "Django"},
         ".venv/bin/python manage.py runserver --noreload 127.0.0.1:{port}"),
        ({"requirements.txt": "flask", "app.py": FLASK},
         ".venv/bin/flask --app app:app run --host 127.0.0.1 --port {port}"),
        ({"pyproject.toml": "[project]\nname='x'\n[project.scripts]\nserve='x:y'"},
         ".venv/bin/serve"),
        ({"requirements.txt": "", "server.py": "x"}, ".venv/bin/python server.py"),
    ],
)  # fmt: skip
def test_a_python_project_is_started_by_what_it_has(
    place: Place, files: dict[str, str], command: str
) -> None:
    assert place.init(files).services["web"].command == command


def test_a_lock_of_uv_decides_the_versions(place: Place) -> None:
    project = "[project]\nname='x'\n[build-system]\nrequires=['hatchling']"
    (step,) = place.init({"pyproject.toml": project, "uv.lock": "", "main.py": ""}).build
    assert "uv export --project . --frozen" in step.run
    assert step.run.endswith(".venv/bin/pip install --no-deps .\n")


@pytest.mark.parametrize(
    ("lock", "install"),
    [
        ("package-lock.json", "npm ci &&\nnpm run build"),
        ("pnpm-lock.yaml", "pnpm install --frozen-lockfile &&\npnpm run build"),
        ("yarn.lock", "yarn install --frozen-lockfile &&\nyarn run build"),
        ("other", "npm install &&\nnpm run build"),
    ],
)
def test_a_node_project_is_installed_by_its_lock(place: Place, lock: str, install: str) -> None:
    package = {"scripts": {"build": "tsc", "start": "node dist/server.js"}}
    shop = place.init({"package.json": json.dumps(package), lock: ""})
    assert shop.build[0].run == f"{install}\n"
    assert shop.services["web"].command == "node dist/server.js"
    assert shop.services["web"].env == {"NODE_ENV": "production"}


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("next start -p 3000", "node_modules/.bin/next start -p {port}"),
        ("A=1 node x.js", "node x.js"),
        ("tsc && node x.js", "npm run --silent start"),
        ("unknown", "npm run --silent start"),
    ],
)
def test_a_start_script_is_named_itself_where_it_can_be(
    place: Place, start: str, command: str
) -> None:
    package = {"scripts": {"start": start}, "dependencies": {"next": "15"}}
    assert place.init({"package.json": json.dumps(package)}).services["web"].command == command


def test_a_development_server_is_no_service(place: Place) -> None:
    package = {
        "scripts": {"start": "vite", "build": "vite build"},
        "devDependencies": {"vite": "7"},
    }
    place.init({"package.json": json.dumps(package)})
    text = place.file().read_text()
    assert 'command = "TO-FILL-IN"' in text
    assert "TO FILL IN" in text
    assert "development server" in text
    # But what it builds is for browsers.
    assert '# assets = "dist" of [[routes]], if that is where it is built' in text


def test_backend_and_frontend_become_two_services(place: Place) -> None:
    package = {
        "scripts": {"build": "next build", "start": "next start"},
        "dependencies": {"next": "1"},
    }
    shop = place.init(
        {
            "backend/requirements.txt": "fastapi",
            "backend/central_api.py": 'app = FastAPI()\nget("API_PORT", 9083)\n"/health"',
            "backend/.env": "API_PORT=9085\nJWT_SECRET=hidden",
            "backend/.env.example": "",
            "backend/data/servers.db": "",
            "frontend/package.json": json.dumps(package),
            "frontend/package-lock.json": "{}",
        }
    )
    assert [step.name for step in shop.build] == ["backend", "frontend"]
    assert shop.build[1].run.startswith("cd frontend &&\nnpm ci")
    backend = shop.services["backend"]
    assert backend.command.startswith("env --chdir=backend .venv/bin/uvicorn central_api:app")
    assert backend.ports == SlotPorts(blue=9085, green=9185)
    assert backend.env == {"API_PORT": "{port}"}
    assert {route.path: route.service for route in shop.routes} == {
        "/": "frontend", "/api/": "backend",
    }  # fmt: skip
    assert shop.app.shared == ("backend/.env", "backend/data")
    text = place.file().read_text()
    assert "seen in backend/central_api.py" in text
    assert "hidden" not in text


def test_a_procfile_names_the_services(place: Place) -> None:
    shop = place.init(
        {
            "Procfile": "web: gunicorn shop:app --bind 0.0.0.0:${PORT:-5000}\n# no\n"
            "worker: python worker.py --json {}\nrelease: python migrate.py\n"
            "odd: cd x && ./y $HOME\n",
            "requirements.txt": "gunicorn",
        }
    )
    assert list(shop.services) == ["web", "worker", "odd"]
    assert shop.services["web"].command == ".venv/bin/gunicorn shop:app --bind 0.0.0.0:{port}"
    assert shop.services["web"].ports == SlotPorts(blue=5000, green=5100)
    assert shop.services["worker"].command == ".venv/bin/python worker.py --json {{}}"
    assert shop.services["worker"].ports is None
    assert shop.services["odd"].command.startswith("sh -c ")


def test_units_become_services(place: Place) -> None:
    place.unit(
        "shop-api",
        "User=shop\nWorkingDirectory=DIR/backend\nEnvironmentFile=-DIR/backend/.env\n"
        'Environment=API_PORT=9083 "MODE=a b"\nEnvironment=JWT_SECRET=hidden\n'
        "ExecStart=DIR/backend/venv/bin/gunicorn \\\n  app:app --config DIR/gunicorn.py\n"
        "TimeoutStopSec=30",
    )
    place.unit("shop-ws", "User=shop\nExecStart=-/usr/bin/node DIR/ws/server.js --port 9084")
    place.unit("shop-backup", "Type=oneshot\nExecStart=DIR/backup.sh")
    place.unit("other", "WorkingDirectory=DIR2\nExecStart=/bin/true")
    place.unit("bluegreen-shop-api", "WorkingDirectory=DIR\nExecStart=/bin/true")
    write(place.root, {f"{UNITS}/shop-ws.service.d/x.conf": "[Service]\nEnvironment=A=%%b"})
    shop = place.init(
        {"backend/requirements.txt": "gunicorn", "backend/.env": "", "Procfile": "w: x"}
    )
    assert sorted(shop.services) == ["api", "ws"]
    api, ws = shop.services["api"], shop.services["ws"]
    assert api.command == "env --chdir=backend .venv/bin/gunicorn app:app --config ../gunicorn.py"
    assert api.env == {"API_PORT": "{port}", "MODE": "a b"}
    assert api.replaces == "127.0.0.1:9083"
    assert api.ports == SlotPorts(blue=9183, green=9283)
    assert api.stop_timeout == 30.0
    assert api.env_file == str(place.root / "var/lib/bluegreen/apps/shop/shared/backend/.env")
    assert ws.command == "/usr/bin/node ws/server.js --port {port}"
    assert ws.ports == SlotPorts(blue=9184, green=9284)
    assert ws.env == {"A": "%b"}
    assert shop.app.user == "shop"
    assert {r.service: r.websocket for r in shop.routes} == {"api": False, "ws": True}
    text = place.file().read_text()
    assert "hidden" not in text
    assert "# JWT_SECRET = { file =" in text


def test_the_port_of_an_env_file_does_not_win_over_the_slot_s(place: Place) -> None:
    place.unit(
        "shop", "EnvironmentFile=DIR/.env\nExecStart=/usr/bin/python3 DIR/app.py --port ${PORT} $$X"
    )
    web = place.init({".env": "PORT=9001\n", "app.py": ""}).services["web"]
    assert web.command == """/usr/bin/python3 app.py --port {port} '$X'"""
    assert web.env == {"PORT": "{port}"}
    assert (web.replaces, web.ports) == ("127.0.0.1:9001", SlotPorts(blue=9101, green=9201))


def test_what_is_no_ordinary_file_does_not_keep_it_waiting(place: Place) -> None:
    for name in ("requirements.txt", "Procfile", "package.json", ".env", "x.py"):
        os.mkfifo(place.directory / name)
    write(place.directory, {"Dockerfile": "\0", "uv.lock": "", "pyproject.toml": "["})
    place.init({})
    assert "not TOML" in place.file().read_text()


@pytest.mark.parametrize(
    "text",
    [
        "ExecStart=/bin/sh -c 'cd DIR && exec python3 \"$$X\" {}'",
        'ExecStart=DIR/run.sh ${FOO} `x` a"b',
        'ExecStart=DIR/run.sh ${FOO} "a\\"b`c"',
        "ExecStart=DIR/run \x01",
        "ExecStart=",
        "ExecStart=DIR/run %i",
        "Environment=1=2 env_file=x A={b} NODE=\x7f\nExecStart=DIR/run\nUser=Some.Body",
        "ExecStart=DIR\nTimeoutStopSec=infinity",
        "ExecStart=@DIR/run name --port 99999\nEnvironment=PORT=70000",
    ],
)
def test_an_odd_unit_still_makes_a_valid_file(place: Place, text: str) -> None:
    place.unit("shop", f"WorkingDirectory=DIR\n{text}")
    place.init({})


def test_ports_of_other_apps_are_avoided_and_clashes_of_sites_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    others = place.file("other").parent
    write(others, {
        "other.toml": small_app("other", 9083, 8000, nginx='listen = ["8080"]'),
        "third.toml": small_app("third", 9283, 8100),
        "broken.toml": "[",
    })  # fmt: skip
    place.unit("shop", "WorkingDirectory=DIR\nEnvironment=PORT=9083\nExecStart=/usr/bin/node x.js")
    shop = place.init({})
    assert shop.services["web"].ports == SlotPorts(blue=9183, green=9383)
    assert shop.nginx.listen == ("8081",)
    assert "broken.toml: not TOML" in capsys.readouterr().out
