"""How a command asks the agent."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from hub.channel.primitives import rest
from hub.client import agent_wire as wire
from hub.client.agent_wire import Answer, Operation
from hub.errors import AccessError, InputError, TransportError
from hub.model.codec import Json, loads

_PATIENCE_S: Final = 3.0


def held(home: Path) -> rest.Stretched | None:
    """What opens a home, if an agent of this account holds it."""
    try:
        answer, body = _ask(wire.request(Operation.GET, wire.name_of(home)))
    except (AccessError, InputError, TransportError):
        # Whoever asks can still be asked for the passphrase.
        return None
    if answer is not Answer.DONE or len(body) != wire.SECRET_SIZE:
        return None
    return rest.Stretched(body[: rest.HEAD_SIZE], body[rest.HEAD_SIZE :])


def hold(home: Path, secret: rest.Stretched, seconds: int) -> None:
    """Give the agent what opens a home.

    Raises:
        AccessError: the agent's folder or socket belongs to somebody else, or it holds too many.
        TransportError: no agent answers.
    """
    frame = wire.request(Operation.PUT, wire.name_of(home), secret.head + secret.key, seconds)
    answer, _ = _ask(frame)
    if answer is not Answer.DONE:
        raise AccessError("the agent does not take this home", hint="stillwatch agent status")


def forget(home: Path) -> None:
    """Let the agent forget one home, if there is an agent."""
    if running():
        _ask(wire.request(Operation.FORGET, wire.name_of(home)))


def lock() -> None:
    """Let the agent forget all homes.

    Raises:
        TransportError: no agent answers.
    """
    _ask(wire.request(Operation.LOCK))


def stop() -> None:
    """End the agent.

    Raises:
        TransportError: no agent answers.
    """
    _ask(wire.request(Operation.STOP))


def status() -> Json:
    """What the agent holds, without any secret.

    Raises:
        TransportError: no agent answers.
    """
    return loads(_ask(wire.request(Operation.STATUS))[1], where="agent")


def running() -> bool:
    """Whether an agent of this account answers."""
    try:
        status()
    except (AccessError, InputError, TransportError):
        return False
    return True


def _ask(frame: bytes) -> tuple[Answer, bytes]:
    """One question on one connection.

    Raises:
        AccessError: the folder or the process at the other end is not this account's.
        TransportError: no agent answers, or not in its protocol.
    """
    folder = wire.folder()
    path = folder / wire.SOCKET_FILE
    try:
        wire.check_folder(folder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE_S)
            connection.connect(str(path))
            if wire.peer_uid(connection) != os.getuid():
                raise AccessError("the agent is another account's process", where=str(path))
            connection.sendall(frame)
            head = _exactly(connection, wire.ANSWER.size)
            magic, number, size = wire.ANSWER.unpack(head)
            if magic != wire.MAGIC or size > wire.MAX_ANSWER or number not in set(Answer):
                raise TransportError("what answers is no agent", where=str(path))
            return Answer(number), _exactly(connection, size)
    except OSError as error:
        raise TransportError(
            "no agent is running", where=str(path), hint="stillwatch agent start"
        ) from error


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise TransportError("the agent broke off", hint="stillwatch agent start")
        data += part
    return data
