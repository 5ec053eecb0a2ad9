"""The agent: a process that holds what opens keyrings, so that a passphrase is typed once.

It holds no passphrase and no keyring, only what Argon2id made of a passphrase, each in locked
memory, for a limited time. It serves processes of its own account over a UNIX socket.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import selectors
import socket
import time
from pathlib import Path
from typing import Final

from hub.client import agent_wire as wire
from hub.client.agent_wire import Answer, Operation
from hub.client.hardening import LockedSecret, is_protected
from hub.errors import AccessError, ConflictError, InputError, StoreError
from hub.model.codec import Json, canonical

MAX_HOMES: Final = 32
MAX_CONNECTIONS: Final = 32
_PATIENCE_S: Final = 2.0
"""A connection that has not sent its request by then is closed."""
_LONGEST_WAIT_S: Final = 2.0
"""`select` does not count the time that a machine sleeps, our clock does."""
_MOST: Final = wire.HEAD.size + wire.MAX_PATH + wire.SECRET_SIZE


@dataclasses.dataclass
class _Held:
    secret: LockedSecret
    until: float


@dataclasses.dataclass
class _Caller:
    connection: socket.socket
    until: float
    data: bytearray = dataclasses.field(default_factory=bytearray)


class Agent:
    """Holds secrets and answers; `serve` runs until it is told to stop or has nothing to do.

    Args:
        folder: of the socket.
        lifetime_s: how long it waits for a first secret.
    """

    def __init__(self, folder: Path, lifetime_s: int) -> None:
        self.folder = folder
        self._until = now() + lifetime_s
        self._held: dict[str, _Held] = {}
        self._callers: dict[int, _Caller] = {}
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._lock: int | None = None
        self._stopping = False
        self.refused = 0

    def listen(self) -> None:
        """Take the socket's place; what a killed agent left there is removed.

        Raises:
            ConflictError: an agent runs already.
            AccessError: the folder is not this account's alone.
            StoreError: the socket cannot be made.
        """
        wire.make_folder(self.folder)
        self._lock = _only_one(self.folder / wire.LOCK_FILE)
        path = self.folder / wire.SOCKET_FILE
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener = listener
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            listener.listen(MAX_CONNECTIONS)
        except OSError as error:
            self.close()
            raise StoreError(
                f"the agent's socket cannot be made: {error.strerror or error}",
                where=str(path),
                hint="a shorter XDG_RUNTIME_DIR, of this machine",
            ) from error
        finally:
            os.umask(before)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until stopped, or until the last secret's time is over."""
        while not self._stopping:
            self._expire()
            if now() >= self._until:
                return
            for key, _ in self._selector.select(self._wait()):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(self._callers[key.fd])

    def close(self) -> None:
        """Wipe everything and leave nothing behind; may be repeated."""
        for held in self._held.values():
            held.secret.close()
        self._held.clear()
        for caller in list(self._callers.values()):
            self._drop(caller)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._selector.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self.folder / wire.SOCKET_FILE).unlink(missing_ok=True)
                (self.folder / wire.LOCK_FILE).unlink(missing_ok=True)
                self.folder.rmdir()
            os.close(self._lock)
            self._lock = None

    def _wait(self) -> float:
        times = [held.until for held in self._held.values()]
        times += [caller.until for caller in self._callers.values()]
        return max(0.0, min([*times, self._until, now() + _LONGEST_WAIT_S]) - now())

    def _expire(self) -> None:
        moment = now()
        for path, held in list(self._held.items()):
            if held.until <= moment:
                held.secret.close()
                del self._held[path]
        for caller in list(self._callers.values()):
            if caller.until <= moment:
                self._drop(caller)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        try:
            stranger = wire.peer_uid(connection) != os.getuid()
        except (AccessError, OSError):
            stranger = True
        if stranger:
            self.refused += 1
            connection.close()
            return
        if len(self._callers) >= MAX_CONNECTIONS:
            # The oldest has had its time: an honest request is here at once.
            self._drop(min(self._callers.values(), key=lambda each: each.until))
        connection.setblocking(False)
        self._callers[connection.fileno()] = _Caller(connection, now() + _PATIENCE_S)
        self._selector.register(connection, selectors.EVENT_READ)

    def _drop(self, caller: _Caller) -> None:
        self._callers.pop(caller.connection.fileno(), None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(caller.connection)
        caller.connection.close()
        caller.data[:] = bytes(len(caller.data))

    def _read(self, caller: _Caller) -> None:
        part = bytearray(_MOST + 1 - len(caller.data))
        try:
            count = caller.connection.recv_into(part)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        held = len(caller.data)
        # Room for the whole at once: growing would leave copies behind.
        grown = bytearray(held + count)
        grown[:held], grown[held:] = caller.data, memoryview(part)[:count]
        for old in (part, caller.data):
            old[:] = bytes(len(old))
        caller.data = grown
        if count == 0:
            self._drop(caller)
            return
        if len(grown) < wire.HEAD.size:
            return
        try:
            operation, seconds, path_size, secret_size = wire.expected(grown)
            whole = wire.HEAD.size + path_size + secret_size
            if len(grown) < whole:
                return
            if len(grown) > whole:
                raise InputError("more than one request")
            self._answer(caller, operation, seconds, path_size)
        except InputError:
            self.refused += 1
            self._send(caller, Answer.REFUSED, bytearray())
        self._drop(caller)

    def _answer(self, caller: _Caller, operation: Operation, seconds: int, path_size: int) -> None:
        start = wire.HEAD.size
        path = os.fsdecode(bytes(caller.data[start : start + path_size]))
        answer, body = Answer.DONE, bytearray()
        if operation is Operation.GET:
            held = self._held.get(path)
            if held is None:
                answer = Answer.NOTHING
            else:
                with held.secret.view() as view:
                    body = bytearray(view)
        elif operation is Operation.PUT:
            self._put(path, memoryview(caller.data)[start + path_size :], seconds)
        elif operation is Operation.FORGET:
            answer = Answer.DONE if self._forget(path) else Answer.NOTHING
        elif operation is Operation.LOCK:
            for each in list(self._held):
                self._forget(each)
        elif operation is Operation.STATUS:
            body = bytearray(canonical(self._status()))
        else:
            self._stopping = True
        self._send(caller, answer, body)

    def _send(self, caller: _Caller, answer: Answer, body: bytearray) -> None:
        frame = bytearray(wire.ANSWER.pack(wire.MAGIC, answer, len(body))) + body
        with contextlib.suppress(OSError):
            caller.connection.settimeout(1.0)
            caller.connection.sendall(frame)
        for used in (frame, body):
            used[:] = bytes(len(used))

    def _put(self, path: str, secret: memoryview, seconds: int) -> None:
        if not Path(path).is_absolute() or (
            path not in self._held and len(self._held) >= MAX_HOMES
        ):
            secret.release()
            raise InputError("not a home that can be held")
        self._forget(path)
        self._held[path] = _Held(LockedSecret(secret), now() + seconds)
        secret.release()
        self._until = max(self._until, now() + seconds)

    def _forget(self, path: str) -> bool:
        held = self._held.pop(path, None)
        if held is not None:
            held.secret.close()
        return held is not None

    def _status(self) -> Json:
        moment = now()
        return {
            "pid": os.getpid(),
            "ends_in_s": int(self._until - moment),
            "refused": self.refused,
            "protected": is_protected(),
            "homes": [
                {
                    "home": path.encode("utf-8", "replace").decode(),
                    "left_s": max(0, int(held.until - moment)),
                    "locked_memory": held.secret.locked,
                }
                for path, held in sorted(self._held.items())
            ],
        }


def now() -> float:
    """Seconds since the machine started, with the time that it slept where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _only_one(path: Path) -> int:
    """The lock that an agent holds while it lives.

    Raises:
        ConflictError: an agent runs already.
        StoreError: the disk refuses.
    """
    try:
        while True:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The agent before may have removed the file between the two calls.
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise ConflictError(
                    "an agent runs already", where=str(path.parent), hint="stillwatch agent status"
                ) from None
            except FileNotFoundError:
                pass
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from error
