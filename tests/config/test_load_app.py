from __future__ import annotations

import re
from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration, load_app
from bluegreen.config.secret_file import SecretFile
from bluegreen.model import SwitchMode
from tests.config.samples import SHOP, problems_of, small_app, write


def test_a_full_app_file_becomes_settings(tmp_path: Path) -> None:
    shop = load_app(write(tmp_path, SHOP))
    assert shop.name == "shop"
    assert shop.env_file == "/etc/shop.env"
    assert shop.env == {"TOKEN": SecretFile(file="/etc/bluegreen/secrets/jwt"), "MODE": "{slot}"}
    assert [step.timeout for step in shop.build] == [600.0, 600.0]
    assert shop.services["api"].stop_timeout == 30.0
    assert shop.routes[1].websocket
    assert shop.nginx.switch is SwitchMode.RELOAD
    assert shop.nginx.max_body == 32 * 2**20
    assert [probe.label for probe in shop.watch_probes] == ["tcp"]
    assert shop.gate.probes[1].interval == 0.5
    assert shop.keep.hot is None


def test_releases_may_be_archives(tmp_path: Path) -> None:
    key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"  # of minisign itself
    table = (
        f"{TARBALL}\nminisign = '{key}'\nchecksums = 'https://x.example/{{version}}/SHA256SUMS'\n"
        "allowed_hosts = ['*.CDN.example', '192.0.2.1']\nmax_size = '2GiB'\nstrip = 0"
    )
    source = load_app(write(tmp_path, SHOP.replace(GIT, table))).source
    assert source.tarball == "https://x.example/{version}.tar.gz"
    assert source.minisign == key
    assert source.allowed_hosts == ("*.cdn.example", "192.0.2.1")
    assert (source.strip, source.max_size, source.max_unpacked) == (0, 2**31, 2**32)
    private = "tarball = 'http://127.0.0.1/v1.tgz'\nallow_private = true\n"
    text = SHOP.replace(GIT, f"{private}sha256 = '{'A' * 64}'")
    assert load_app(write(tmp_path, text)).source.sha256 == "a" * 64


def test_a_small_app_file_gets_the_defaults(tmp_path: Path) -> None:
    app = load_app(write(tmp_path, small_app("tiny", 9001, 9101), "tiny"))
    assert (app.gate.deadline, app.gate.healthy_for, app.watch.for_) == (120.0, 10.0, 60.0)
    assert app.keep.hot == 86400.0
    assert app.nginx.mode == "site"
    assert app.watch_probes == ()


GIT = 'git = "https://example.org/shop.git"'
TARBALL = "tarball = 'https://x.example/{version}.tar.gz'"

# (what is replaced in SHOP, by what, key, a part of what is wrong, a part of what is right)
REFUSALS: list[tuple[str, str, str, str, str]] = [
    # Keys and sections
    ("shared =", "sharde =", "app.sharde", "no key of that name", '"shared" is meant'),
    ("keepalive", "keepaliv", "services.api.keepaliv", "no key", '"keepalive" is meant'),
    ("interval =", "intervall =", "gate.probes[1].intervall", "no key", '"interval" is meant'),
    ("[keep]\nhot", "[kept]\nhot", "kept", "no key of that name", '"keep" is meant'),
    ("status = [", "stats = [", "gate.probes[0].http.stats", "no key", '"status" is meant'),
    ("{ file =", "{ flie =", "env.TOKEN.flie", "no key of that name", '"file" is meant'),
    ('user   = "www-data"', "overlap = false", "app.overlap", "cannot be held", '"marker"'),
    ("[keep]", '[hold]\nlimit = "2h"\n[keep]', "hold.limit", "more than 60 minutes", '"60s"'),
    ("[keep]", '[hold]\nlimit = "19s"\n[keep]', "hold.limit", "less than 20 s", '"60s"'),
    ("failures = 2", "max_error_rate = 0.1", "watch.max_error_rate", "0.1 cannot", '"0.5%"'),
    ("failures = 2", 'window = "2m"', "watch.window", '"2m" cannot be', '"10s"'),
    ("failures = 2", f"min_requests = {10**12}", "watch.min_requests", "no release", "1 to 100000"),
    ("failures = 2", 'requests = false\nmax_p99 = "1s"', "watch", "false keeps", "Remove"),
    (
        "failures = 2", "metrics = [{ name = 'a', max = 1 }]", "watch.metrics[0]",
        "exactly one of http and command", "Give it one",
    ),
    ("websocket = true", 'assets = "/x"', "routes[1].assets", "cannot be used", "inside the rel"),
    ("websocket = true", 'assets = "data/x"', "routes[1].assets", "is shared", "the build leaves"),
    ("keepalive = 0", "instances = 65", "services.api.instances", "65", "64"),
    ("keepalive = 0", "exclusive = true", "routes[0].service", "is exclusive", "remove exclusive"),
    ("[app]", "env_file = '/x'\n[app]", "env_file", "no key", "under [env]"),
    ("[app]", 'app = "x"\n[other]', "app", '"x" cannot be used', "Write a table"),
    # Values
    ('listen = ["80", "[::]:80"]', 'listen = ["0"]', "nginx.listen[0]", '"0" cannot', "a port or"),
    ('path = "/health?{slot}"', 'path = "x"', "gate.probes[0].http.path", "cannot", "a path"),
    ("failures = 2", "interval = 1.5", "watch.interval", "1.5 cannot be used", "a unit of time"),
    ('name   = "shop"', 'name = "Shop"', "app.name", '"Shop" cannot', "lower-case letters"),
    ('name   = "shop"', "", "app.name", "it is missing", "Add name"),
    ('"www-data"', '"www data"', "app.user", "cannot be used", "a user of this host"),
    ('["data",', '["../data",', "app.shared[0]", "cannot be used", "inside the release"),
    ('["data",', '["/data",', "app.shared[0]", "cannot be used", "inside the release"),
    ('["data",', r'["da\nta",', "app.shared[0]", "cannot be used", "control characters"),
    ('["data",', '["backend",', "app.shared[1]", "lie in each other", "Keep the outer one"),
    ('["data",', '["backend/.env",', "app.shared[1]", "is listed twice", "Keep"),
    ("submodules = false", 'submodules = "no"', "source.submodules", '"no"', "true or false"),
    ('timeout = "2m"', "timeout = 2", "source.timeout", "2 cannot", "a unit of time"),
    ('timeout = "2m"', 'timeout = "0s"', "source.timeout", '"0s" cannot', "greater than 0"),
    ('MODE = "{slot}"', "MODE = 1", "env.MODE", "this value cannot", "text in quotes"),
    ('MODE = "{slot}"', '2MODE = "1"', "env.2MODE", "cannot", "a variable's name"),
    ('MODE = "{slot}"', 'M = "\\u0000"', "env.M", "cannot", "without NUL"),
    ('"/etc/shop.env"', '"shop.env"', "env.env_file", '"shop.env" cannot', "absolute path"),
    ('"/etc/web.env"', '"web.env"', "services.web.env_file", "cannot", "absolute path"),
    ("green = 9183", 'green = "9183"', "services.api.ports.green", '"9183"', "without quotes"),
    ("green = 9183", "green = 99999", "services.api.ports.green", "99999", "from 1 to 65535"),
    ("green = 9183", "green = 0", "services.api.ports.green", "0 cannot", "from 1 to 65535"),
    ("keepalive = 0", "instances = 0", "services.api.instances", "0 cannot", "from 1 to 64"),
    ("keepalive = 0", "keepalive = 1025", "services.api.keepalive", "1025", "from 0 to 1024"),
    ("failures = 2", "min_requests = 0", "watch.min_requests", "0 cannot", "from 1 to 1000000"),
    ("[watch]", "[hold]\nlimit = '5s'\n[watch]", "hold.limit", "20 s", "20 seconds to 60 minutes"),
    ("green = 9183", "green = 9083", "services.api.ports", "both slots", "of its own"),
    (", green = 9183", "", "services.api.ports.green", "it is missing", "Add green"),
    ('"web-green.sock"', '"web-blue.sock"', "services.web.sockets", "both slots", "its own"),
    ('"web-blue.sock"', '"../x.sock"', "services.web.sockets.blue", "cannot", "a path of"),
    ('"web-blue.sock"', '"a;b"', "services.web.sockets.blue", "cannot", "a path of"),
    ("keepalive = 0", "sockets = { blue = 'a', green = 'b' }", "services.api", "not on both",
     "Remove one"),
    ('"node server.js {socket}"', '"node \'x"', "services.web.command", "split into words",
     "Close the quotes"),
    ('"node server.js {socket}"', '" "', "services.web.command", "cannot", "a program"),
    ('"node server.js {socket}"', '"../evil/x"', "services.web.command", "outside the release",
     ".venv/bin/python"),
    ('"node server.js {socket}"', '"bin/../../x -v"', "services.web.command", '"bin/../../x" is',
     "Write a program"),
    ('path = "/"', 'path = "/../x"', "routes[1].path", "cannot", "without '..'"),
    ('path = "/"', 'path = "/a/./b"', "routes[1].path", "cannot", "a path of the site"),
    ("[services.worker]", "[services.My_Worker]", "services.My_Worker", "cannot", "a name of"),
    ('path = "/"', 'path = "/a//b"', "routes[1].path", "cannot", "a path of the site"),
    ('path = "/"', 'path = "/;x"', "routes[1].path", "cannot", "a path of the site"),
    ('["80", ', '["0", ', "nginx.listen[0]", '"0" cannot', "a port or an IP address"),
    ('["80", ', '["300.0.0.1:80", ', "nginx.listen[0]", '"300.0.0.1:80" cannot', "an IP address"),
    ('["80", ', '["[1::2::3]:80", ', "nginx.listen[0]", '"[1::2::3]:80" cannot', "an IP address"),
    ('["80", "[::]:80"]', '"80"', "nginx.listen", '"80" cannot', "in brackets"),
    ('["80", "[::]:80"]', "[]", "nginx.listen", "it is empty", "leave it out"),
    ('"shop.example.org",', '"a b",', "nginx.server_name[0]", "cannot", "a host name"),
    ('mode = "site"', 'mode = "sites"', "nginx.mode", '"sites"', '"site", "snippet" or "ups'),
    ('switch = "reload"', 'switch = "x"', "nginx.switch", '"x"', '"marker" or "reload"'),
    ('"32MiB"', '"32"', "nginx.max_body", '"32" cannot', "a unit of size"),
    ('"32MiB"', f'"{"9" * 400}GB"', "nginx.max_body", "cannot", "a unit of size"),
    ("[200, 204]", "[200, 999]", "gate.probes[0].http.status[1]", "999", "from 100 to 599"),
    ("[200, 204]", "[]", "gate.probes[0].http.status", "it is empty", "leave it out"),
    ("[200, 204]", '"200"', "gate.probes[0].http.status", '"200"', "without quotes"),
    ('"ok",', "1979-05-27,", "gate.probes[0].http.json.status", "1979-05-27", "JSON has"),
    ("tcp = {}", "tcp = {}, command = { run = 'x' }", "watch.probes[0]", "exactly one", "Give"),
    ("failures = 2", "failures = 0", "watch.failures", "0 cannot", "1 or more"),
    ('"forever"', '"ever"', "keep.hot", '"ever" cannot', 'or "forever"'),
    # The source
    ('git = "https://example.org/shop.git"', "", "source", "none of git", "Say where"),
    ("submodules = false", "directory = '/a/{version}'", "source", "git and directory", "Say"),
    ('git = "https://example.org/shop.git"', "directory = '/srv/shop'", "source.directory",
     "the same directory", "{version}"),
    ('git = "https://example.org/shop.git"', "directory = '/srv/{slot}/{version}'",
     "source.directory", "no placeholder {slot}", "{version}"),
    ("https://example.org", "https://me:s3cret@example.org", "source.git", "credentials",
     "Keep tokens out"),
    (GIT, "tarball = 'https://x.example/v.tgz'", "source.tarball", "the same archive", "{version}"),
    (GIT, "tarball = 'https://x.example/{slot}'", "source.tarball", "{slot}", "{version}"),
    (GIT, "tarball = 'https://{version}.example/a'", "source.tarball", "choose the server", "host"),
    (GIT, "tarball = 'https://me:s3cret@x.example/{version}'", "source.tarball", "credentials",
     "Keep them out"),
    (GIT, "tarball = 'ftp://x.example/{version}'", "source.tarball", "not the https URL", "Write"),
    (GIT, "tarball = 'https://x.example/{version}#x'", "source.tarball", "a fragment", "Remove"),
    (GIT, "tarball = 'https://x.example/{version} x'", "source.tarball", "blanks", "%20"),
    (GIT, "tarball = 'https://x.example:x/{version}'", "source.tarball", "cannot be read", "Write"),
    (GIT, "tarball = 'http://x.example/{version}'", "source.tarball", "over http", "allow_private"),
    (GIT, f"{TARBALL}\nchecksums = 'http://x.example/s'", "source.checksums", "over http", "https"),
    (GIT, f"{TARBALL}\nchecksums = 'https://x.example/{{slot}}'", "source.checksums", "{slot}",
     "{version}"),
    (GIT, f"{TARBALL}\nsha256 = 'abc'", "source.sha256", '"abc" cannot', "64 hexadecimal"),
    (GIT, f"{TARBALL}\nsha256 = '{'a' * 64}'\nchecksums = 'https://x.example/s'",
     "source.sha256", "of one archive", "Keep one"),
    (GIT, f"{TARBALL}\nminisign = 'RWQabc'", "source.minisign", "cannot", "minisign.pub"),
    (GIT, f"{TARBALL}\nallowed_hosts = ['https://x']", "source.allowed_hosts[0]", "cannot",
     "without scheme"),
    (GIT, f"{TARBALL}\nstrip = -1", "source.strip", "-1 cannot", "from 0 to 16"),
    (GIT, f"{TARBALL}\nmax_size = '0B'", "source.max_size", "cannot", "greater than 0"),
    (GIT, f"{GIT}\nverify = {{}}", "source.verify", "names no keys", "Say who may sign"),
    (GIT, 'directory = "/a/{version}"\nverify = { gpg_keys = "/k" }', "source.verify",
     "about git", "Remove it"),
    (GIT, f'{GIT}\nssh_key = {{ file = "/k" }}', "source.ssh_key", "about ssh", "ssh://"),
    (GIT, "git = 'git@x:y'\nssh_key = { file = '/a b' }", "source.ssh_key.file", '"/a b"',
     "an absolute path of letters"),
    (GIT, "git = 'git@x:y'\ntoken = { file = '/t' }", "source.token", "by https only", "https://"),
    (GIT, f'{GIT}\ntoken = {{ file = "/t", user = "a:b" }}', "source.token.user", '"a:b"', "name"),
    (GIT, "assets = { provider = 'gitea', repository = 'a/b', name = 'c' }", "source.assets",
     "where the forge is", "api ="),
    (GIT, "assets = { provider = 'github', repository = 'a', name = 'c' }",
     "source.assets.repository", '"a"', "owner/name"),
    (GIT, "assets = { provider = 'github', repository = 'a/b', name = '{slot}' }",
     "source.assets.name", "{slot}", "{version}"),
    (GIT, "assets = { provider = 'gitlab', repository = 'a/b', name = 'c', api = 'http://x' }",
     "source.assets.api", "over http", "allow_private"),
    (GIT, f"{GIT}\nstrip = 1", "source.strip", "about a tarball", "Remove it"),
    # What the parts say of each other
    ('service = "api"\n\n', 'service = "apy"\n\n', "routes[0].service", 'no service "apy"',
     '"api" is meant'),
    ('service = "api"\n\n', 'service = "worker"\n\n', "routes[0].service", "no ports",
     "Give services.worker ports"),
    ('path = "/"', 'path = "/api/"', "routes[1].path", "the same as routes[0].path", "Keep"),
    ('name = "frontend"', 'name = "backend"', "build[1].name", "build[0].name", "Give each"),
    ("[[gate.probes]]\nservice = \"worker\"", "[[gate.probes]]\nservice = \"wroker\"",
     "gate.probes[2].service", 'no service "wroker"', '"worker" is meant'),
    ("{ service = \"api\", tcp", "{ service = \"worker\", tcp", "watch.probes[0].service",
     "no ports", "probe it with a command"),
    ('healthy_for = "10s"', 'healthy_for = "2m"', "gate.healthy_for", "within a deadline",
     "longer than healthy_for"),
    ('timeout = "3s"', 'timeout = "3m"', "gate.probes[1].timeout", "longer than the gate's",
     "shorter"),
    ('listen = ["80",', 'listen = ["80", "80",', "nginx.listen[1]", "the same", "Keep one"),
    ('listen = ["80",', 'listen = ["9083",', "nginx.listen[0]", "port 9083 is also services",
     "Let nginx listen"),
    # Placeholders
    ("--port {port}", "--port {prot}", "services.api.command", "{prot}", '"{port}" is meant'),
    ("server.js {socket}", "server.js {port}", "services.web.command", "{port}", "only a serv"),
    ("worker.py {ports.api}", "worker.py {ports.web}", "services.worker.command",
     "{ports.web}", 'service "web" has no ports'),
    ("{{level}}", "{level}", "services.api.env.FORMAT", "{level}", "literal braces"),
    ("{{level}}", "${HOME", "services.api.env.FORMAT", "a { that belongs", "Write {{"),
    ('"npm ci"', '"npm ci {port}"', "build[1].run", "{port}", "{ports.api}"),
    ("{ports.api}\" }", "{ports.ap}\" }", "build[0].env.API", "{ports.ap}", "{ports.api}"),
    ('MODE = "{slot}"', 'MODE = "{port}"', "env.MODE", "{port}", "name the service"),
    ("/health?{slot}", "/health?{slt}", "gate.probes[0].http.path", "{slt}", "{slot}"),
    ('"{version}" }', '"{verson}" }', "gate.probes[0].http.json.'build.version'",
     "{verson}", "{version}"),
    ("'{{\"type\": \"ping\"}}'", "'{\"type\": 1}'", "gate.probes[1].websocket.send",
     "a { that belongs", "Write {{"),
    ('expect = "pong"', 'expect = "{pong}"', "gate.probes[1].websocket.expect", "{pong}", "li"),
    ('"python check.py"', '"check {x}"', "gate.probes[2].command.run", "{x}", "literal"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "key", "wrong", "right"), REFUSALS, ids=[r[2] for r in REFUSALS]
)
def test_each_mistake_is_refused_with_its_place_and_its_remedy(
    tmp_path: Path, old: str, new: str, key: str, wrong: str, right: str
) -> None:
    assert SHOP.count(old) == 1
    found = problems_of(tmp_path, SHOP.replace(old, new))
    problem = next((p for p in found if p.key == key), None)
    assert problem is not None, [str(p) for p in found]
    shown = str(problem)
    assert shown.startswith(f"{tmp_path}/shop.toml:{problem.line}: {key}: ")
    assert wrong in problem.wrong, shown
    assert right.lower() in problem.right.lower(), shown
    assert problem.line is not None
    changed = SHOP.replace(old, new).splitlines()[problem.line - 1]
    *_, parent, last = ("[", *re.findall(r"[A-Za-z_.-]+", key.replace(".", " ")))
    # The line holds the key itself, or the table that lacks it.
    assert last in changed or parent in changed, (shown, changed)


@pytest.mark.parametrize(
    "section",
    ["release"],
)
def test_sections_of_later_versions_are_refused(tmp_path: Path, section: str) -> None:
    (problem,) = problems_of(tmp_path, f"{SHOP}\n[{section}]\nx = 1\n")
    assert (problem.key, problem.wrong) == (section, "not supported yet")
    assert problem.line == SHOP.count("\n") + 2


def test_all_problems_of_a_file_are_reported_at_once_in_the_order_of_its_lines(
    tmp_path: Path,
) -> None:
    text = (
        SHOP.replace("shared =", "sharde =")
        .replace("MODE = ", "MODE = 3 # ")
        .replace("{{level}}", "{level}")
        .replace("keepalive = 0", "keepalive = -1")
        .replace('service = "web"\nwebsocket', 'service = "wbe"\nwebsockets')
        .replace('"/health?{slot}"', '"/health?{slt}"\nstatu = 1')
    )
    found = problems_of(tmp_path, f"{text}\n[backup]\n")
    assert [problem.key for problem in found] == [
        "app.sharde",
        "env.MODE",
        "services.api.env.FORMAT",
        "services.api.keepalive",
        "routes[1].service",
        "routes[1].websockets",
        "gate.probes[0].http.path",
        "gate.probes[0].http.statu",
        "backup",
    ]


def test_a_service_without_a_command_does_not_hide_its_other_mistakes(tmp_path: Path) -> None:
    text = SHOP.replace('command = ".venv', 'comand = ".venv').replace("{{level}}", "{level}")
    keys = {problem.key for problem in problems_of(tmp_path, text)}
    assert keys == {"services.api.comand", "services.api.command", "services.api.env.FORMAT"}


def test_a_probe_of_two_kinds_is_checked_as_both(tmp_path: Path) -> None:
    text = SHOP.replace("command = { run =", "http = { path = '/{x}' }\ncommand = { run =")
    found = problems_of(tmp_path, text)
    assert {problem.key for problem in found} == {
        "gate.probes[2]",
        "gate.probes[2].service",
        "gate.probes[2].http.path",
    }


def test_a_wrong_default_is_no_second_problem(tmp_path: Path) -> None:
    text = SHOP.replace('deadline = "2m"', "deadline = 5").replace(
        'healthy_for = "10s"', 'healthy_for = "5m"'
    )
    assert [problem.key for problem in problems_of(tmp_path, text)] == ["gate.deadline"]


def test_env_file_inside_a_services_env_is_told_apart(tmp_path: Path) -> None:
    text = SHOP.replace('FORMAT = "{{level}}"', 'env_file = "/x"')
    (problem,) = problems_of(tmp_path, text)
    assert (problem.key, problem.line) == ("services.api.env.env_file", 32)
    assert "beside env" in problem.right


def test_secrets_are_never_repeated(tmp_path: Path) -> None:
    text = (
        SHOP.replace('MODE = "{slot}"', "MODE = 20001234")
        .replace("example.org/shop", "u:20001234@example.org/shop")
        .replace("{{level}}", "{20001234}")
        .replace("status = [200", "request_headers = { Authorization = 20001234 }\nstatus = [200")
    )
    found = problems_of(tmp_path, text)
    assert len(found) == 4
    assert "20001234" not in "".join(str(problem) for problem in found)


def test_two_services_of_an_app_cannot_share_a_port_or_socket(tmp_path: Path) -> None:
    text = SHOP.replace(
        "[services.worker]",
        "[services.ws]\ncommand = 'x'\nports = { blue = 9183, green = 9283 }\n"
        "[services.rpc]\ncommand = 'x'\nsockets = { blue = 'r', green = './web-blue.sock' }\n"
        "[services.worker]",
    )
    found = problems_of(tmp_path, text)
    assert [(problem.key, problem.wrong) for problem in found] == [
        ("services.ws.ports.blue", "port 9183 is also services.api.ports.green"),
        (
            "services.rpc.sockets.green",
            "the socket /run/bluegreen/apps/shop/web-blue.sock is also services.web.sockets.blue",
        ),
    ]


def test_the_error_lists_every_problem_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load_app(write(tmp_path, SHOP.replace("user ", "usr ").replace("[keep]", "[kep]")))
    error = caught.value
    assert error.message == "the configuration cannot be used: 2 problems in shop.toml"
    assert error.detail == tuple(str(problem) for problem in error.problems)
    assert "bluegreen check" in error.remedy
    assert error.exit_status == 2


def test_a_table_in_single_brackets_is_told_of_the_double_ones(tmp_path: Path) -> None:
    text = small_app("shop", 9001, 9101) + '[build]\nname = "b"\nrun = "true"\n'
    (problem,) = problems_of(tmp_path, text)
    assert (problem.key, problem.wrong) == ("build", "a table cannot be used here")
    assert problem.right == "Write [[build]], in double brackets: there may be several"
