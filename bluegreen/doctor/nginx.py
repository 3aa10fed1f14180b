"""nginx: which it is, whether it serves what is rendered for it, and what others have written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from bluegreen.doctor.nouns import Look
from bluegreen.errors import TrafficError
from bluegreen.host.places import HostFiles
from bluegreen.layout import Layout
from bluegreen.survey.nginx_file import Directive, read_configuration
from bluegreen.traffic.build import NginxBuild, installed_build
from bluegreen.traffic.confirmation import Confirmation
from bluegreen.traffic.nginx import HostNginx
from bluegreen.traffic.own_nginx import OwnNginx

INSTALL = "install one that has it: Debian's (nginx-light, too) or nginx.org's"
# For what they are needed, of the modules that nginx is built with unless it is told not to.
_NEEDED = {"rewrite": "to find the slot", "proxy": "to reach it", "map": "for every site",
           "log": "to tell the watch of requests"}  # fmt: skip


async def look_at_nginx(layout: Layout) -> Look:
    look = Look("nginx")
    try:
        build = await installed_build()
    except TrafficError as error:
        look.find_error(error)
        return look
    look.seen.append(f"{'.'.join(map(str, build.version))} ({build.binary})")
    _modules(look, build)
    on_host = layout.is_whole
    nginx = HostNginx(build, layout) if on_host else OwnNginx(build, layout)
    if await asyncio.to_thread(nginx.master) is None:
        start = "systemctl start nginx" if on_host else f"{layout.remedies.bluegreen} status"
        look.find("nginx does not run", f"see why: nginx -t; then: {start}")
        return look
    try:
        await Confirmation(layout.nginx_socket, layout.remedies).ask(None)
    except TrafficError as error:
        look.find_error(error)
    else:
        look.seen.append("serves what bluegreen renders")
    if on_host:
        await asyncio.to_thread(_of_others, look, layout.root)
    return look


def _modules(look: Look, build: NginxBuild) -> None:
    for name, what in _NEEDED.items():
        if f"--without-http_{name}_module" in build.arguments:
            look.find(f"nginx was built without its module {name}, which is needed {what}", INSTALL)
    if build.can_hold:
        look.seen.append("can hold requests (auth_request)")
    else:
        look.find("nginx was built without auth_request: no requests can be held", INSTALL)


def _of_others(look: Look, root: Path) -> None:
    """The configuration of the host, as far as whoever looks may read it. Blocking."""
    unread: list[str] = []
    configuration = read_configuration(root, unread)
    look.unseen += unread
    include = HostFiles(root).nginx_include
    if configuration.directives and not configuration.has_included(str(include)):
        look.find(
            f"nginx's configuration does not include {include}",
            f"add to the http block of /etc/nginx/nginx.conf: include {include.parent}/*.conf;",
        )
    for directive in _all(configuration.directives):
        if directive.name == "open_file_cache" and directive.args[:1] != ("off",):
            where = f"{directive.file}:{directive.line}"
            look.seen.append(f"open_file_cache is on ({where}); bluegreen's locations turn it off")


def _all(directives: Iterable[Directive]) -> Iterator[Directive]:
    for directive in directives:
        yield directive
        yield from _all(directive.block or ())
