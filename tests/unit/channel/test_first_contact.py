"""Cards, invitations, join requests, bindings and carriage: what must hold, and what must not."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from hub.channel.card import (
    check_chain,
    fingerprint_text,
    fingerprint_words,
    issue_card,
    parse_card,
)
from hub.channel.carriage import from_artifact, is_artifact, to_artifact
from hub.channel.header import MAX_BODY
from hub.channel.invite import (
    Invitation,
    binding,
    check_binding,
    check_join,
    join_request,
    new_invitation,
    parse_invitation,
    parse_join,
)
from hub.channel.manifest import DAY, Role
from hub.channel.primitives.hash import label, lp, sha256
from hub.channel.words import WORDS
from hub.channel.wraps import MAX_HISTORY, WRAPPED_SIZE
from hub.errors import InputError, VerificationError
from hub.model.markings import TLP
from tests.unit.channel.cast import NOW, Person, seed

ROOT_URL = "https://hub.example/stillwatch/"


def invitation(secret: bytes | None = None) -> Invitation:
    return new_invitation(
        channel="ab" * 32,
        owners=[Person("lab").root.public.id],
        api_root=ROOT_URL,
        collection="0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
        inbox="1e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
        roles=[Role.READ, Role.REPORT],
        organisation="Example Cloud",
        sponsor=Person("lab").root.public.id,
        expires=NOW + DAY,
        secret=secret,
    )


def test_a_join_request_answers_its_invitation() -> None:
    invited = invitation()
    joiner = Person("joiner")
    raw = join_request(parse_invitation(invited.text), [joiner.card_raw], joiner.signing, now=NOW)
    request = check_join(raw, invited, now=NOW)
    assert request.member == joiner.id
    assert request.card.hash == joiner.card.hash
    assert parse_join(raw) == request


def test_an_invitation_survives_line_breaks_and_hides_its_secret() -> None:
    invited = invitation()
    broken = "\n  ".join(invited.text[at : at + 60] for at in range(0, len(invited.text), 60))
    assert parse_invitation(broken) == invited
    assert invited.secret.hex() not in repr(invited)
    assert str(invited.secret) not in repr(invited)
    assert invited.id != invitation().id


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.replace("invite1", "invite2"),
        lambda text: text[:50] + ("B" if text[50] != "B" else "C") + text[51:],
        lambda text: "",
        lambda text: text + "=",
        lambda text: "stillwatch-invite1:é",
    ],
)
def test_a_mistyped_invitation_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(InputError, match=r"mistyped or cut off|begins with"):
        parse_invitation(change(invitation().text))


def test_a_wrong_reused_or_expired_invitation_is_refused() -> None:
    invited, other, joiner = invitation(), invitation(), Person("joiner")
    raw = join_request(invited, [joiner.card_raw], joiner.signing, now=NOW)
    with pytest.raises(VerificationError, match="another invitation"):
        check_join(raw, other, now=NOW)
    with pytest.raises(VerificationError, match="used before"):
        check_join(raw, invited, now=NOW, used={invited.id})
    with pytest.raises(VerificationError, match="has expired"):
        check_join(raw, invited, now=NOW + DAY + 1)
    with pytest.raises(VerificationError, match="dated in the future"):
        check_join(raw, invited, now=NOW - 3600)
    with pytest.raises(VerificationError, match="has expired"):
        join_request(invited, [joiner.card_raw], joiner.signing, now=NOW + DAY + 1)


def test_a_card_swapped_on_the_way_fails_the_mac() -> None:
    invited, joiner, mallory = invitation(), Person("joiner"), Person("mallory")
    head_of_joiner = join_request(invited, [joiner.card_raw], joiner.signing, now=NOW)
    start = len(label("join request"))
    size = int.from_bytes(head_of_joiner[start : start + 4], "big")
    head = head_of_joiner[start + 4 : start + 4 + size]
    # Mallory has no secret: it keeps the MAC and puts its own card and signature beside it.
    chain = lp(mallory.card_raw)
    signature = mallory.signing.sign(label("join signature") + sha256(head) + sha256(chain))
    forged = label("join request") + lp(head) + lp(chain) + lp(signature)
    assert parse_join(forged).member == mallory.id
    with pytest.raises(VerificationError, match="card was swapped"):
        check_join(forged, invited, now=NOW)


def test_a_join_request_needs_the_newest_cards_key() -> None:
    joiner = Person("joiner")
    with pytest.raises(InputError, match="not the signing pair"):
        join_request(invitation(), [joiner.card_raw], Person("other").signing, now=NOW)
    renewed = joiner.renewed()
    raw = join_request(
        invitation(seed("s", 32)), [joiner.card_raw, renewed.card_raw], renewed.signing, now=NOW
    )
    assert parse_join(raw).card == renewed.card
    with pytest.raises(VerificationError, match="does not follow"):
        check_chain([renewed.card, joiner.card])


def test_a_binding_answers_one_hub_and_one_challenge() -> None:
    lab = Person("lab")
    raw = binding(ROOT_URL, "c0ffee", lab.card_raw, lab.signing)
    assert check_binding(raw, ROOT_URL, "c0ffee", now=NOW).member == lab.id
    for url, challenge in (("https://other.example/x/", "c0ffee"), (ROOT_URL, "decade")):
        with pytest.raises(VerificationError, match="another hub or challenge"):
            check_binding(raw, url, challenge, now=NOW)
    with pytest.raises(VerificationError, match="not valid now"):
        check_binding(raw, ROOT_URL, "c0ffee", now=NOW + 365 * DAY)
    stolen = binding(ROOT_URL, "c0ffee", lab.card_raw, Person("mallory").signing)
    with pytest.raises(VerificationError, match="signature is not valid"):
        check_binding(stolen, ROOT_URL, "c0ffee", now=NOW)


def test_nobody_claims_anothers_signing_key() -> None:
    lab, mallory = Person("lab"), Person("mallory")
    honest = issue_card(
        mallory.root,
        mallory.id,
        mallory.signing,
        mallory.kem.public,
        number=1,
        prev=None,
        not_before=NOW,
        not_after=NOW + DAY,
    )
    ours = base64.b64encode(lab.signing.public.raw)
    theirs = base64.b64encode(mallory.signing.public.raw)
    start = len(label("card"))
    size = int.from_bytes(honest[start : start + 4], "big")
    data = honest[start + 4 : start + 4 + size].replace(theirs, ours)
    signatures = mallory.root.sign(label("card by root") + sha256(data)) + mallory.signing.sign(
        label("card by signing key") + sha256(data)
    )
    with pytest.raises(VerificationError, match="possession signature"):
        parse_card(label("card") + lp(data) + signatures)


@pytest.mark.parametrize(
    ("number", "prev", "after"), [(2, None, NOW), (1, "ab" * 32, NOW), (1, None, 0), (0, None, NOW)]
)
def test_a_card_that_nobody_would_accept_is_not_issued(
    number: int, prev: str | None, after: int
) -> None:
    lab = Person("lab")
    with pytest.raises(InputError, match="card"):
        issue_card(
            lab.root,
            lab.id,
            lab.signing,
            lab.kem.public,
            number=number,
            prev=prev,
            not_before=10,
            not_after=after,
        )


def test_a_card_names_an_identity() -> None:
    lab = Person("lab")
    with pytest.raises(InputError, match="STIX identity"):
        issue_card(
            lab.root,
            "lab",
            lab.signing,
            lab.kem.public,
            number=1,
            prev=None,
            not_before=0,
            not_after=1,
        )


def test_fingerprints_differ_in_text_and_words() -> None:
    lab, mallory = Person("lab").root.public.id, Person("mallory").root.public.id
    assert len(WORDS) == len(set(WORDS)) == 256
    assert list(WORDS) == sorted(WORDS)
    assert all(word.isascii() and word.isalpha() and 4 <= len(word) <= 8 for word in WORDS)
    assert len(fingerprint_words(lab)) == 16
    assert fingerprint_words(lab) != fingerprint_words(mallory)
    assert fingerprint_text(lab).startswith("SHA256:")
    assert fingerprint_text(lab).removeprefix("SHA256:").replace("-", "") == lab


def test_an_artifact_carries_bytes_unchanged() -> None:
    raw = b"any bytes \x00\xff"
    carried = to_artifact(raw, tlp=TLP.AMBER_STRICT)
    assert from_artifact(dict(reversed(carried.items()))) == raw
    assert is_artifact(carried)
    assert to_artifact(raw)["id"] == carried["id"]
    without_marking = {key: carried[key] for key in carried if key != "object_marking_refs"}
    assert from_artifact(without_marking) == raw


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"id": "artifact--00000000-0000-5000-8000-000000000000"}, VerificationError),
        ({"hashes": {"SHA-256": "ab" * 32}}, VerificationError),
        ({"hashes": {"MD5": "ab" * 16}}, InputError),
        ({"hashes": "none"}, InputError),
        ({"payload_bin": "!!!!"}, InputError),
        ({"payload_bin": 7}, InputError),
        ({"payload_bin": "AAAA"}, VerificationError),
        ({"mime_type": "text/plain"}, InputError),
        ({"url": "https://hub.example/"}, InputError),
        ({"type": "file"}, InputError),
        ({"id": 7}, VerificationError),
    ],
)
def test_a_changed_artifact_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        from_artifact(to_artifact(b"message") | change)


def test_what_other_clients_add_is_ignored_where_messages_are_read() -> None:
    added = {"x_opencti_score": 50, "defanged": False, "hashes": {"MD5": "ab" * 16}}
    carried = to_artifact(b"message")
    carried |= added | {"hashes": {**carried["hashes"], "MD5": "ab" * 16}}
    assert from_artifact(carried, strict=False) == b"message"
    with pytest.raises(InputError, match="more fields"):
        from_artifact(carried)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "artifact--00000000-0000-4000-8000-000000000000"}, "squatted"),
        ({"hashes": {"SHA-256": "ab" * 32}}, "not that of the message"),
        ({"hashes": {"SHA-256": "AB" * 32}}, "lower-case hex"),
        ({"payload_bin": "bWVz\nc2FnZQ=="}, "not base64"),
        ({"payload_bin": "bWVzc2FnZR=="}, "not canonical base64"),
        ({"payload_bin": "bWVzc2FnZQ"}, "not base64"),
        ({"mime_type": "text/plain"}, "`mime_type` is `application/octet-stream`"),
    ],
)
def test_what_does_not_keep_the_payload_is_told_exactly(
    change: dict[str, object], said: str
) -> None:
    with pytest.raises((InputError, VerificationError), match=said):
        from_artifact(to_artifact(b"message") | change, strict=False)


def test_the_greatest_epoch_fits_into_a_message() -> None:
    readers = MAX_BODY // (2 * (WRAPPED_SIZE + 32))
    assert readers >= 1_000
    assert 2 * 1_000 * (WRAPPED_SIZE + 32) + MAX_HISTORY * (WRAPPED_SIZE + 41) < MAX_BODY
