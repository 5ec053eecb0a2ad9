"""Low-order and non-canonical keys are refused, by the arithmetic of the curves."""

from __future__ import annotations

import pytest

from hub.channel.card import issue_card
from hub.channel.primitives.kem import KemPrivate, encrypt
from hub.channel.primitives.points import check_ed25519, check_mlkem768, check_x25519
from hub.channel.primitives.sign import SigningPublic
from hub.errors import InputError, VerificationError
from tests.unit.channel.cast import NOW, Person

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(left: Point, right: Point) -> Point:
    """The complete addition law of edwards25519 (RFC 8032, section 5.1.4, affine)."""
    (x1, y1), (x2, y2) = left, right
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def recover_x(y: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return x


def torsion() -> set[int]:
    """y of every multiple of a point of order eight, found from 8P = 0 alone."""
    # Halving (0, -1) twice: order four is y = 0; order eight solves D y^4 + 2 y^2 - 1 = 0.
    root = pow(1 + D, (P + 3) // 8, P)
    if root * root % P != (1 + D) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    found = set()
    for sign in (1, -1):
        square = (sign * root - 1) * pow(D, -1, P) % P
        y = pow(square, (P + 3) // 8, P)
        if y * y % P != square:
            y = y * pow(2, (P - 1) // 4, P) % P
        if y * y % P == square:
            point, total = (recover_x(y), y), (0, 1)
            for _ in range(8):
                found.add(total[1])
                total = add(total, point)
            assert total == (0, 1)
    return found


def test_every_point_of_small_order_is_refused() -> None:
    low = torsion()
    assert len(low) == 5
    for y in low:
        for sign in (0, 1 << 255):
            with pytest.raises(VerificationError, match="low order"):
                check_ed25519((y | sign).to_bytes(32, "little"), "key")


def test_non_canonical_points_are_refused() -> None:
    for value in (P, P + 1, P + 2, 2**255 - 1):
        with pytest.raises(VerificationError, match="not canonical"):
            check_ed25519(value.to_bytes(32, "little"), "key")
        with pytest.raises(VerificationError, match="not canonical"):
            check_x25519(value.to_bytes(32, "little"), "key")
    with pytest.raises(VerificationError, match="not canonical"):
        check_x25519((9 | 1 << 255).to_bytes(32, "little"), "key")


def test_a_signature_under_a_low_order_key_would_verify_and_is_refused() -> None:
    low = (1).to_bytes(32, "little") + Person("lab").signing.public.raw[32:]
    with pytest.raises(VerificationError, match="low order"):
        SigningPublic(low)


LOW_X25519 = (
    0,
    1,
    P - 1,
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)


@pytest.mark.parametrize("value", LOW_X25519)
def test_low_order_x25519_keys_are_refused_everywhere(value: int) -> None:
    lab = Person("lab")
    public = lab.kem.public[:1184] + value.to_bytes(32, "little")
    with pytest.raises(VerificationError, match="low order"):
        check_x25519(public[1184:], "key")
    with pytest.raises(VerificationError, match="low order"):
        issue_card(
            lab.root, lab.id, lab.signing, public, number=1, prev=None, not_before=0, not_after=NOW
        )
    with pytest.raises(VerificationError, match="not valid"):
        encrypt(b"s" * 32, public, b"info")


def test_the_list_of_x25519_points_is_in_its_usual_byte_order() -> None:
    # The same numbers as in the public lists, which print them as little-endian bytes.
    little = {value.to_bytes(32, "little").hex()[:8] for value in LOW_X25519}
    assert {"e0eb7a7c", "5f9c95bc"} <= little


def test_an_ml_kem_key_outside_the_modulus_is_refused() -> None:
    good = Person("lab").kem.public
    check_mlkem768(good, "key")
    for bad in (b"\xff" * 1152 + good[1152:], good[:1149] + b"\x00\xf0\xff" + good[1152:]):
        with pytest.raises(VerificationError, match="ML-KEM-768 key is not canonical"):
            check_mlkem768(bad, "key")


def test_kem_keys_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="1216 bytes"):
        encrypt(b"s", b"short", b"info")
    with pytest.raises(InputError, match="96 bytes"):
        KemPrivate.from_seed(b"short")
