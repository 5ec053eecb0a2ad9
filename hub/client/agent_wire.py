"""The agent's socket: where it lies, whom it serves, and the frames on it.

A request is `SWAG`, version, operation, u32 seconds, u16 length of the path, u16 length of the
secret, path, secret; an answer is `SWAG`, version, status, u32 length, body. One request a
connection. All of it stays on this machine, between processes of one account.
"""

from __future__ import annotations

import enum
import os
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hub.channel.primitives import rest
from hub.errors import AccessError, InputError, StoreError

MAGIC: Final = b"SWAG\x01"
HEAD: Final = struct.Struct(">5sBIHH")
ANSWER: Final = struct.Struct(">5sBI")
MAX_PATH: Final = 1024
SECRET_SIZE: Final = rest.HEAD_SIZE + 32
MAX_ANSWER: Final = 128 * 1024
MAX_SECONDS: Final = 7 * 86_400
SOCKET_FILE: Final = "agent.sock"
LOCK_FILE: Final = "agent.lock"
_LOCAL_PEERCRED: Final = 1


class Operation(enum.IntEnum):
    """What a command asks for."""

    GET = 1
    PUT = 2
    FORGET = 3
    LOCK = 4
    STATUS = 5
    STOP = 6


class Answer(enum.IntEnum):
    """How it went."""

    DONE = 0
    NOTHING = 1
    REFUSED = 2


def request(operation: Operation, path: str = "", secret: bytes = b"", seconds: int = 0) -> bytes:
    """A request's bytes.

    Raises:
        InputError: the path is too long.
    """
    name = os.fsencode(path)
    if len(name) > MAX_PATH:
        raise InputError(f"the home's path is longer than {MAX_PATH} bytes", where="--home")
    return HEAD.pack(MAGIC, operation, seconds, len(name), len(secret)) + name + secret


def expected(head: bytes | bytearray) -> tuple[Operation, int, int, int]:
    """Operation, seconds and the two lengths of a request that begins so.

    Raises:
        InputError: not a request of this version, or longer than any is.
    """
    magic, number, seconds, path_size, secret_size = HEAD.unpack(bytes(head[: HEAD.size]))
    try:
        operation = Operation(number)
    except ValueError:
        raise InputError("not an operation of the agent") from None
    put = operation is Operation.PUT
    if magic != MAGIC or path_size > MAX_PATH or secret_size != (SECRET_SIZE if put else 0):
        raise InputError("not a request to the agent")
    if seconds > MAX_SECONDS or (put and seconds < 1):
        raise InputError("not a time that the agent keeps a secret for")
    return operation, seconds, path_size, secret_size


def folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the agent's socket: in `XDG_RUNTIME_DIR`, else beside the default home."""
    runtime = (os.environ if environment is None else environment).get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "stillwatch"
    return Path.home() / ".stillwatch-agent"


def check_folder(path: Path) -> None:
    """Whoever may write into the folder may put a false agent there.

    Raises:
        AccessError: it is not a folder of this account alone.
        FileNotFoundError: there is none.
    """
    seen = path.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise AccessError(
            "the agent's folder is not a folder of this account alone",
            where=str(path),
            hint="look who made it, then remove it",
        )


def peer_uid(connection: socket.socket, platform: str = sys.platform) -> int:
    """The account at the other end, as the kernel says.

    Raises:
        AccessError: this platform does not say.
        OSError: the connection is gone.
    """
    if platform == "linux":
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", data)[1])
    if platform != "darwin":
        raise AccessError(
            "this platform does not tell who is at the other end of a socket",
            hint="--passphrase-file FILE",
        )
    # struct xucred: u_int version, uid_t uid, short ngroups, gid_t groups[16].
    data = connection.getsockopt(0, _LOCAL_PEERCRED, 76)
    if len(data) < 8 or struct.unpack_from("I", data)[0] != 0:
        raise AccessError("the system does not tell who is at the other end of the socket")
    return int(struct.unpack_from("I", data, 4)[0])


def name_of(home: Path) -> str:
    """A home's name in the agent: its real path."""
    return os.path.realpath(home)


def make_folder(path: Path) -> None:
    """Make the agent's folder, of mode 0700.

    Raises:
        AccessError: one is there that is not this account's alone.
        StoreError: the disk refuses.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        check_folder(path)
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from error
