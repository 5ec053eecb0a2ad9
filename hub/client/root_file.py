"""A root's private half in a file of its own, to lie on another machine than the home."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from pathlib import Path
from typing import Final

from hub.channel.card import RootPrivate
from hub.channel.primitives import rest
from hub.client.home import Home
from hub.client.keyring import write_private
from hub.errors import AccessError, ConflictError, InputError, StoreError, VerificationError
from hub.model.codec import canonical, loads

_VERSION: Final = 1
_KIND: Final = "stillwatch root"
_MAX_BYTES: Final = 64 * 1024


@dataclasses.dataclass(frozen=True)
class RootFile:
    """What a root file says in clear, and its sealed seed.

    Attributes:
        member: STIX id of the member whose root it is.
        organisation: its name for people.
        root_id: id of the root.
        sealed: the seed under a passphrase.
    """

    member: str
    organisation: str
    root_id: str
    sealed: bytes = dataclasses.field(repr=False)

    def open(self, passphrase: bytes) -> RootPrivate:
        """The root's private half.

        Raises:
            AccessError: the passphrase does not open it.
            InputError: the file is damaged.
        """
        try:
            seed = rest.unwrap_with_passphrase(
                self.sealed, _text(passphrase), context=_context(self.root_id)
            )
        except VerificationError as error:
            # The cause might quote what was typed.
            raise AccessError(
                "the root file does not open with this passphrase", where=self.organisation
            ) from error.with_traceback(None)
        root = RootPrivate.from_seed(seed)
        if root.public.id != self.root_id:
            raise InputError("the root file holds another root than it says", where=self.root_id)
        return root


def export_root(home: Home, path: Path, passphrase: bytes) -> RootFile:
    """Write the root's private half to a new file of mode 0600, under a passphrase of its own.

    It is read back before anything else relies on it.

    Raises:
        AccessError: the root is not in this home.
        ConflictError: the file is there already.
        StoreError: the disk refuses.
    """
    if path.exists():
        raise ConflictError("is there already", where=str(path), hint="another --out FILE")
    root = home.keyring.root_key()
    sealed = rest.wrap_with_passphrase(
        root.to_seed(), _text(passphrase), context=_context(root.public.id)
    )
    content = canonical(
        {
            "v": _VERSION,
            "kind": _KIND,
            "member": home.member_id,
            "organisation": home.organisation,
            "root": root.public.id,
            "sealed": base64.b64encode(sealed).decode("ascii"),
        }
    )
    write_private(path, content)
    written = read_root_file(path)
    if written.open(passphrase).to_seed() != root.to_seed():
        raise StoreError("was not written as it should be", where=str(path))
    return written


def detach_root(home: Home, path: Path, passphrase: bytes) -> RootFile:
    """Export the root, and erase its private half from the home.

    From then on new cards, manifests and invitations' approvals need the file.
    """
    with home.locked():
        written = export_root(home, path, passphrase)
        home.replace_keyring(home.keyring.without_root())
    return written


def attach_root(home: Home, file: RootFile, passphrase: bytes) -> None:
    """Put the root's private half back into the home.

    Raises:
        VerificationError: it is another home's root.
        AccessError: the passphrase does not open it.
    """
    with home.locked():
        home.replace_keyring(home.keyring.with_root(file.open(passphrase)))


def read_root_file(path: Path) -> RootFile:
    """Read a root file; its seed stays sealed.

    Raises:
        InputError: it is not one.
        StoreError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error
    fields = loads(data, where=str(path), max_bytes=_MAX_BYTES)
    if fields.get("kind") != _KIND or fields.get("v") != _VERSION:
        raise InputError(
            "not a root file of this version", where=str(path), hint="stillwatch root export"
        )
    try:
        return RootFile(
            member=str(fields["member"]),
            organisation=str(fields["organisation"]),
            root_id=str(fields["root"]),
            sealed=base64.b64decode(str(fields["sealed"]), validate=True),
        )
    except (KeyError, ValueError, binascii.Error) as error:
        raise InputError("the root file is damaged", where=str(path)) from error


def _context(root_id: str) -> bytes:
    return f"stillwatch root 1 {root_id}".encode()


def _text(passphrase: bytes) -> str:
    try:
        return passphrase.decode()
    except UnicodeDecodeError:
        raise InputError("the passphrase is not UTF-8") from None
