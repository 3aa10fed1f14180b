"""The database that the address of one names, and the address of its copy.

As libpq reads them: https://www.postgresql.org/docs/current/libpq-connect.html, 34.1.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

LONGEST_NAME = 63  # bytes of a name, of which the server cuts off the rest

_OF_COPY = re.compile(r".*_copy_[0-9a-f]{10}", re.DOTALL)
# With what drivers and languages put around it: ``jdbc:postgresql://``, ``postgresql+asyncpg://``.
_ADDRESS = re.compile(r"\bpostgres(?:ql)?(?:\+\w+)?://[^\s'\"]*")
_OF_LIBPQ = "PGDATABASE"
# ``host=/run/x dbname=shop``, ``PGDATABASE=shop ./migrate``
_KEYWORD = re.compile(
    r"""\b(?:dbname|PGDATABASE)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^\s'";&]+))""",
)


def database_of(address: str) -> str | None:
    """The name of the database; None where the address leaves it to the user's name."""
    before, _, after = address.partition("?")
    _, _, path = before.partition("://")[2].partition("/")
    return dict(_parameters(after)).get("dbname") or unquote(path) or None


def copy_of(address: str, suffix: str) -> str:
    """The address of the database whose name ends with ``suffix`` in addition."""
    if not suffix:
        return address
    # Not put together by urlunsplit, which drops the empty host of postgresql:///app?host=/run.
    before, mark, after = address.partition("?")
    scheme, _, rest = before.partition("://")
    host, _, path = rest.partition("/")
    name = (database_of(address) or "") + suffix
    query = _parameters(after)
    if any(key == "dbname" for key, _ in query):
        named = [(key, name if key == "dbname" else value) for key, value in query]
        return f"{scheme}://{host}/{path}?{urlencode(named, quote_via=quote)}"
    return f"{scheme}://{host}/{quote(name, safe='')}{mark}{after}"


def _parameters(query: str) -> list[tuple[str, str]]:
    # To libpq a + is no blank.
    return parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)


def is_of_copy(name: str) -> bool:
    """Whether a database of that name can only be a copy, as `AppLayout.copy_suffix` ends it.

    Of a longer name the server would cut off just this, and do to the original what is asked.
    """
    return _OF_COPY.fullmatch(name) is not None and len(name.encode()) <= LONGEST_NAME


def naming_databases(names: Collection[str], texts: Mapping[str, str]) -> list[str]:
    """``DATABASE_URL names the database shop``: which of ``texts``, each by what it is, name one.

    On whichever host: one server has many names.
    """
    found = []
    for what, text in texts.items():
        named = {database_of(address) for address in _ADDRESS.findall(text)}
        named |= {one[1] or one[2] or one[3] for one in _KEYWORD.finditer(text)}
        named |= {text} if what == _OF_LIBPQ else set()
        found += [f"{what} names the database {name}" for name in names if name in named]
    return found
