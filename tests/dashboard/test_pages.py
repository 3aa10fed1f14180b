"""The pages of a real daemon: who is let in, what they see, and what a form does."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import Any

import pytest

from bluegreen.dashboard.guard import HEADERS
from bluegreen.dashboard.offers import ACTIONS
from bluegreen.dashboard.routes import PAGES
from tests.api.door import Door
from tests.dashboard.visitor import Page, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="package")

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


def visitor(door: Door) -> Visitor:
    door.guests += 1
    return Visitor(door, f"198.18.7.{door.guests}")


async def inside(door: Door, scope: str, *apps: str) -> Visitor:
    """Somebody who has logged in with a token of that scope, for those apps."""
    found = visitor(door)
    page = await found.login(await door.token(scope, *apps))
    assert (page.status, page.headers["Location"]) == (303, "/")
    return found


async def what_is(door: Door) -> Any:
    status = await door.stack.status()
    return status["active"], status["lock"], status["held"], len(await door.stack.operations())


async def test_each_login_is_a_session_of_its_own_which_logging_out_ends(door: Door) -> None:
    alice = visitor(door)
    alice.cookie = "bluegreen=chosen-by-somebody-else"
    page = await alice.login(await door.token("read"), next="/apps/monitor")
    assert (page.status, page.headers["Location"]) == (303, "/apps/monitor")
    (cookie,) = page.cookies
    assert "chosen" not in cookie
    assert {"HttpOnly", "Path=/", "SameSite=Strict"} == {*cookie.split("; ")[1:]}
    first = alice.cookie
    await alice.login(await door.token("read"))
    assert alice.cookie != first
    again = Visitor(door, alice.address, first)
    assert (await again.get("/")).status == 303  # of one browser, the session before is over
    other = await inside(door, "read")
    page = await alice.get("/")
    assert page.status == 200
    out = await alice.post("/logout", page.hidden())
    assert out.headers["Location"] == "/login"
    assert (await alice.get("/")).headers["Location"] == "/login"
    assert (await other.get("/")).status == 200
    tls = visitor(door)
    tls.scheme = "https"
    (cookie,) = (await tls.login(await door.token("read"))).cookies
    assert cookie.startswith("__Host-bluegreen=")
    assert "; Secure" in cookie
    assert (await tls.get("/")).status == 200
    asked = [event["asked"] for event in door.events("audit")]
    assert {"POST /login", "POST /logout"} <= {*asked}


async def test_who_has_not_logged_in_is_shown_and_may_do_nothing(door: Door) -> None:
    before = await what_is(door)
    for cookie in ("", "bluegreen=" + "x" * 43, "bluegreen=" + "x" * 5000):
        nobody = visitor(door)
        nobody.cookie = cookie
        for page in PAGES:
            path = page.path.format(app="monitor", id=1, action="lock", name="none.css")
            if path in ("/login", "/static/none.css", "/status"):
                continue
            if page.stream:
                assert [kind async for kind, _ in nobody.events(path)] == ["login"]
                continue
            fields = {"reason": "nobody", "form_token": ""} if page.method == "POST" else None
            found = await nobody._ask(page.method, path, fields, {})
            assert found.status == (401 if fields else 303), path
            assert "v2" not in found.text
    again = await visitor(door).get("/apps/monitor", **{"Sec-Fetch-Site": "cross-site"})
    assert (again.status, "v2" in again.text) == (200, False)  # it loads once more, with the cookie
    assert ("meta", {"http-equiv": "refresh", "content": "0"}) in again.tags
    assert await what_is(door) == before
    async with door.unix.get("/") as response:
        assert response.status == 404  # whoever is on the host has the command line


async def test_a_browser_that_asks_for_no_page_is_answered_one_and_a_program_as_before(
    door: Door,
) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    nobody, somebody = visitor(door), await inside(door, "read")
    for path in ("/nowhere", "/apps/monitor/history/of", "/logout"):
        page = await nobody.get(path, **browser)
        assert (page.status, page.headers["Location"]) == (303, f"/login?next={path}")
        page = await somebody.get(path, **browser)
        assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "/" in page.links()
        assert {*HEADERS.items()} <= {*page.headers.items()}
        assert (await nobody.get(path)).status == 401
    for path in ("/v1/nowhere", "/v1", "/hooks/monitor"):
        page = await somebody.get(path, **browser)
        assert (page.status, page.headers["Content-Type"]) == (
            401, "application/problem+json; charset=utf-8",
        )  # fmt: skip


async def test_a_wrong_token_is_refused_and_counted_as_one_of_the_api_is(door: Door) -> None:
    guest = visitor(door)
    _, before = await door.ask("GET", "/v1/apps", await door.token("admin"))
    for text in ("", "x", "bg_1_" + "A" * 43):
        page = await guest.login(text)
        assert page.status == 401
        assert not page.cookies
        assert "not valid" in page.text
    _, after = await door.ask("GET", "/v1/apps", await door.token("admin"))
    assert after["failed_authentications"] - before["failed_authentications"] >= 3
    assert (await guest.login(await door.token("read"))).status == 303


async def test_a_form_of_another_site_changes_nothing(door: Door) -> None:
    admin, other = await inside(door, "admin"), await inside(door, "admin")
    before = await what_is(door)
    fields = {**(await admin.get("/apps/monitor/lock")).hidden(), "reason": "forged"}
    assert fields["form_token"]
    theirs = (await other.get("/apps/monitor/lock")).hidden()["form_token"]
    for form_token in ("", "x", theirs):
        page = await admin.post("/apps/monitor/lock", {**fields, "form_token": form_token})
        assert page.status == 403, form_token
    host = f"http://127.0.0.1:{door.port}"
    for headers in (
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://[::"},
    ):  # fmt: skip
        page = await admin.post("/apps/monitor/lock", fields, **headers)
        assert page.status == 403, headers
        page = await visitor(door).post("/login", {"token": await door.token("read")}, **headers)
        assert (page.status, page.cookies) == (403, [])  # nor is anybody logged in by one
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        async with door.tcp.post(
            "/apps/monitor/lock", data=b"{}",
            headers={**admin.headers({}), "Content-Type": content_type},
        ) as response:  # fmt: skip
            assert response.status == 400, content_type
    assert await what_is(door) == before
    page = await admin.post("/apps/monitor/lock", fields, Origin=host)
    assert page.status == 303
    assert (await door.stack.status())["lock"]["reason"] == "forged"
    assert (await admin.press("/apps/monitor/unlock")).status == 303


BUTTONS = {
    "read": set(), "deploy": {"deploy", "preview", "rollback", "restart"}, "switch": {"switch"},
    "admin": {"deploy", "preview", "rollback", "restart", "switch", "hold", "lock", "stop"},
}  # fmt: skip


async def test_buttons_are_those_of_the_scope_and_others_are_refused(door: Door) -> None:
    before = await what_is(door)
    for scope, buttons in BUTTONS.items():
        somebody = await inside(door, scope)
        page = await somebody.get("/apps/monitor")
        shown = {
            link.removeprefix("/apps/monitor/") for link in page.links() if link.count("/") == 3
        }
        assert shown - {"history", "resume"} == buttons, scope  # that, only after a switch
        form_token = page.hidden()["form_token"]
        for name, action in ACTIONS.items():
            if action.route.scope in ("admin", "deploy", "switch") and scope == "read":
                path = f"/apps/monitor/{name}"
                assert (await somebody.get(path)).status == 403, name
                refused = await somebody.post(path, {"form_token": form_token, "reason": "x"})
                assert refused.status == 403, name
                assert f"the scope {action.route.scope}" in refused.text
    assert await what_is(door) == before
    page = await (await inside(door, "admin")).get("/apps/shop/preview")  # an old page's button
    assert "Nothing runs in blue." in page.text
    assert "a deploy starts one" in page.text


async def test_a_token_of_one_app_sees_no_other(door: Door) -> None:
    somebody = await inside(door, "admin", "shop")
    page = await somebody.get("/")
    assert "/apps/shop" in page.links()
    assert "monitor" not in page.text
    form_token = page.hidden()["form_token"]
    for path in ("/apps/monitor", "/apps/monitor/history", "/apps/monitor/lock", "/operations/1"):
        found = await somebody.get(path)
        assert found.status == 404, path
    lock = await somebody.post("/apps/monitor/lock", {"form_token": form_token, "reason": "x"})
    assert lock.status == 404
    assert (await door.stack.status())["lock"] is None


async def test_what_people_wrote_is_shown_as_they_wrote_it(door: Door) -> None:
    admin = await inside(door, "admin")
    written = await door.make(scopes=["admin"], name=HOSTILE[:60])
    named = visitor(door)
    await named.login(written["token"])
    assert (await admin.press("/apps/monitor/lock", {"reason": HOSTILE})).status == 303
    await door.stack.ask("POST", "/v1/apps/shop/lock", {"reason": HOSTILE})
    pages = [
        await named.get("/"), await named.get("/apps/monitor"), await named.get("/apps/shop"),
        await named.get("/apps/monitor/unlock"), await named.get(f"/?q={HOSTILE}"),
        await named.get("/apps/monitor/deploy"),
        await named.get(f"/apps/monitor/deploy?version={HOSTILE}"),
        await named.get(f"/apps/{HOSTILE}"), await named.get(f"/login?next={HOSTILE}"),
        await named.post("/login", {"token": HOSTILE, "next": HOSTILE}),
        await named.press("/apps/monitor/hold", {"timeout": HOSTILE}),
    ]  # fmt: skip
    for page in pages:
        harmless(page)
    page = await named.get("/apps/monitor/deploy?version=v%00%1b[31m2")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", page.text)
    assert page.text.count(r"v\x00\x1b[31m2") >= 2  # in its field, and where it is refused
    assert "cannot be a version" in page.text
    assert "Deploy v" not in page.text  # on a button, which could do nothing
    assert "version" not in page.hidden()
    assert "&lt;script&gt;alert(1)" in pages[1].text
    async with aclosing(named.events("/apps/monitor/events")) as events:
        async for kind, document in events:
            assert kind == "put"
            assert "<script" not in str(document)
            break
    for app in ("monitor", "shop"):
        assert (await named.press(f"/apps/{app}/unlock")).status == 303


def harmless(page: Page) -> None:
    """Nothing in it runs or is loaded but this site's own files, and headers would forbid it."""
    for name, value in HEADERS.items():
        assert page.headers[name] == value
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert tag not in ("style", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#", "?")), (tag, attributes)
        assert not (attributes.get("src") or "").startswith("//")
        if tag == "script":
            assert re.fullmatch(r"/static/\w+\.js\?v=\w+", attributes["src"] or "")
        if tag == "img":
            assert (attributes["src"] or "").startswith("/static/icon.svg")


async def test_every_answer_has_the_headers_and_what_is_private_is_not_kept(door: Door) -> None:
    admin = await inside(door, "admin")
    number = (await door.stack.operations())[0]["id"]
    for path in (
        "/", "/apps/monitor", "/apps/monitor/history?limit=1", f"/operations/{number}",
        "/apps/monitor/switch", "/apps/none", "/operations/x", "/apps/monitor/none",
    ):  # fmt: skip
        page = await admin.get(path)
        harmless(page)
        assert page.headers["Cache-Control"] == "no-store"
    page = await admin.get("/")
    for link in page.links() | {a["src"] or "" for _, a in page.tags if "src" in a}:
        if link.startswith("/static/"):
            found = await visitor(door).get(link)
            assert found.status == 200
            assert "immutable" in found.headers["Cache-Control"]
    older = (await admin.get("/apps/monitor/history?limit=1")).links()
    assert f"/apps/monitor/history?before={number}" in older


async def test_a_button_does_what_the_api_does_and_it_is_recorded(door: Door) -> None:
    made = await door.make(scopes=["deploy", "switch"], name="ops")
    ops = visitor(door)
    await ops.login(made["token"])
    active = door.stack.marker()
    async with aclosing(ops.events("/events")) as events:
        page = await ops.press("/apps/monitor/switch")
        assert (page.status, page.headers["Location"]) == (303, "/apps/monitor")
        assert door.stack.marker() != active
        async for kind, document in events:
            if kind == "put" and f'class="{door.stack.marker()} on"' in str(document):
                break
    said = await ops.get("/apps/monitor")
    assert f"{door.stack.marker()} serves v1 now" in said.text
    assert "serves v1 now" not in (await ops.get("/apps/monitor")).text
    by = f"token {made['id']} (ops) via dashboard from {ops.address}"
    assert (await door.stack.operations())[0]["requested_by"] == by
    plan = await ops.get("/apps/monitor/deploy?version=v2")
    assert "0 new" in plan.text or "1 new" in plan.text
    fields = plan.hidden()
    page = await ops.post("/apps/monitor/deploy", fields)
    number = (await door.stack.operations())[0]["id"]
    assert (page.status, page.headers["Location"]) == (303, f"/operations/{number}")
    again = await ops.post("/apps/monitor/deploy", fields)  # pressed twice
    assert again.headers["Location"] == f"/operations/{number}"
    other = await ops.post("/apps/monitor/deploy", fields | {"version": "v1"})
    assert other.status == 409
    assert f"sent already, with other values: that began operation {number}" in other.text
    assert "idempotency" not in other.text
    async with aclosing(ops.events(f"/operations/{number}/events")) as events:
        kinds = {kind async for kind, _ in events}
    assert {"put", "output", "line", "points", "end"} == kinds
    logs = door.stack.layout.app("monitor").operation_logs(number)
    (logs / "build-colours.log").write_text("\x1b[31mred\x00\x1b[0m\n")
    async with aclosing(ops.events(f"/operations/{number}/events")) as events:
        lines = [document async for kind, document in events if kind == "line"]
    assert {"source": "build-colours", "line": "red"} in lines
    admin = await inside(door, "admin")
    fields = (await admin.get("/apps/monitor/lock")).hidden() | {"reason": "a move"}
    assert (await admin.post("/apps/monitor/lock", fields)).status == 303
    other = await admin.post("/apps/monitor/lock", fields | {"reason": "another"})
    assert other.status == 409
    assert "this page was sent already, with other values</p>" in other.text
    assert (await door.stack.status())["lock"]["reason"] == "a move"
    assert (await admin.press("/apps/monitor/unlock")).status == 303
    asked = [(event["asked"], event["via"]) for event in door.events("audit")[-2:]]
    via = f"dashboard from {admin.address}"
    assert asked == [
        ("POST /v1/apps/{app}/lock", via), ("POST /v1/apps/{app}/unlock", via),
    ]  # fmt: skip


async def test_a_session_and_its_streams_end_with_its_token(door: Door) -> None:
    made = await door.make(scopes=["read"])
    somebody = visitor(door)
    await somebody.login(made["token"])
    async with door.tcp.get("/events", headers=somebody.headers({})) as stream:
        assert await stream.content.readline() == b"retry: 1000\n"
        await door.stack.cli("token", "revoke", str(made["id"]))
        with pytest.raises(Exception, match=r"."):
            await asyncio.wait_for(stream.read(), 20)
    assert (await somebody.get("/")).status == 303
    assert [kind async for kind, _ in somebody.events("/events")] == ["login"]


async def test_a_status_page_says_who_is_up_and_nothing_else(door: Door) -> None:
    assert (await visitor(door).get("/status")).status == 404
    door.configure(door.usual() + "\nstatus_page = true")
    try:
        assert (await door.reload())[0] == 200
        page = await visitor(door).get("/status")
        assert page.status == 200
        harmless(page)
        assert re.findall(r"<li class=\"(\w+)\">(\w+) <b>(\w+)</b>", page.text) == [
            ("good", "monitor", "up")
        ]
        assert not re.search(r"v1|v2|blue\b|green\b", re.sub(r"bluegreen|\?v=\w+", "", page.text))
    finally:
        door.configure(door.usual())
        assert (await door.reload())[0] == 200
