"""A PostgreSQL server of a test's own, on a unix socket only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian has them
LIMIT = 60.0  # seconds
PASSWORD = "sesam open"


@dataclass(frozen=True)
class Postgres:
    """A database of a running server, whose user ``shop`` has to give a password."""

    directory: Path
    database: str = "shop"

    @property
    def url(self) -> str:
        return f"postgresql://shop@/{self.database}?host={self.directory}"

    def sql(self, text: str) -> list[str]:
        """The lines that ``text`` answers, asked by the user shop."""
        answer = subprocess.run(
            ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--quiet",
             "--set=ON_ERROR_STOP=1", f"--dbname={self.url}", f"--command={text}"],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True, text=True, timeout=LIMIT, check=True,
        )  # fmt: skip
        return answer.stdout.splitlines()

    def admin(self, text: str) -> None:
        """Have ``text`` done in the database by an administrator."""
        subprocess.run(
            ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={self.database}",
             f"--host={self.directory}", "--username=postgres", f"--command={text}"],
            timeout=LIMIT, check=True,
        )  # fmt: skip


def _user() -> Sequence[str]:
    """The server refuses to run as root."""
    return () if os.geteuid() else ("runuser", "-u", "postgres", "--")


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with an empty database ``shop``, ended and removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="bg-pg-"))
    if not os.geteuid():
        owner = pwd.getpwnam("postgres")
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    directory.chmod(0o755)
    data, programs = directory / "data", PROGRAMS[-1]

    def run(*words: str) -> None:
        with (directory.parent / f"{directory.name}.log").open("ab") as log:
            subprocess.run(
                [*_user(), *words], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                timeout=LIMIT, check=True,
            )  # fmt: skip

    try:
        run(f"{programs}/initdb", "--username=postgres", "--auth=trust", "--no-sync", str(data))
        options = f"-k {directory} -c listen_addresses='' -c fsync=off"
        run(f"{programs}/pg_ctl", "-D", str(data), "-w", "-o", options, "start")
        try:
            admin = ("psql", "-h", str(directory), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c")
            run(*admin, f"CREATE ROLE shop LOGIN PASSWORD '{PASSWORD}'")
            run(*admin, "CREATE DATABASE shop OWNER shop")
            run("sh", "-c", 'echo "local all shop scram-sha-256\nlocal all all trust" >"$0"',
                str(data / "pg_hba.conf"))  # fmt: skip
            run(f"{programs}/pg_ctl", "-D", str(data), "reload")
            yield Postgres(directory)
        finally:
            run(f"{programs}/pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)
        (directory.parent / f"{directory.name}.log").unlink(missing_ok=True)
