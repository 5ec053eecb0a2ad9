"""Access tokens: which are taken, for whom, and what happens when their issuer is away."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from hub.errors import InputError, TransportError, VerificationError
from hub.login_settings import LoginSettings, OAuthIssuer, read_issuers
from hub.server.oauth import Claimed, Issuers
from hub.server.oauth_fetch import fetch
from hub.server.oauth_keys import IssuerKeys
from hub.server.refusals import IssuerDownError
from hub.store.records import ORDINARY_ROLES, AccountKind, LoginKind
from tests.unit.server.city import AUDIENCE, Issuer, issuing, settings_with
from tests.unit.server.harness import House

PATH = "/stillwatch/collections/"


class Desk:
    """Answers in place of an issuer; a test sets what and when."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-256", {"kid": "one"})]
        self.asked = 0
        self.failing = False
        self.answer: dict[str, Any] = {}
        self.now = 1_000.0
        self.forms: list[Mapping[str, str]] = []

    def __call__(
        self,
        url: str,
        *,
        seconds: float,
        form: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        self.asked += 1
        if self.failing:
            raise TransportError("away", where=url)
        if form is not None:
            assert login == ("hub", "secret")
            self.forms.append(form)
            return dict(self.answer)
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def desk() -> Desk:
    return Desk()


ISSUER = OAuthIssuer("https://login.example/", AUDIENCE, jwks_url="https://login.example/jwks")


def issuers_of(desk: Desk, *settings: OAuthIssuer) -> Issuers:
    return Issuers(
        settings or (ISSUER,), now=lambda: int(time.time()), get=desk, monotonic=desk.monotonic
    )


def ask(issuers: Issuers, token: str) -> Claimed:
    try:
        return asyncio.run(issuers.claimed(token))
    finally:
        issuers.close()


def maker(desk: Desk) -> Issuer:
    return Issuer(key=desk.keys[0], url=ISSUER.issuer)


def test_a_good_token_says_who_it_is(desk: Desk) -> None:
    assert ask(issuers_of(desk), maker(desk).token("gateway")) == Claimed(
        ISSUER.issuer, "gateway", "gateway"
    )
    assert ask(issuers_of(desk), maker(desk).token("gateway", aud=["else", AUDIENCE])).client
    upper = maker(desk).token("gateway", header={"typ": "Application/AT+JWT"})
    assert ask(issuers_of(desk), upper).client == "gateway"
    without_kid = maker(desk).token("gateway", header={"kid": "one"})
    assert ask(issuers_of(desk), without_kid).subject == "gateway"


def test_a_token_for_a_user_does_not_speak_for_its_client(desk: Desk) -> None:
    found = ask(issuers_of(desk), maker(desk).token("gateway", sub="alice"))
    assert found == Claimed(ISSUER.issuer, "alice", None)


BAD_CLAIMS: list[dict[str, Any]] = [
    {"iss": "https://other.example/"},
    {"iss": "https://login.example"},
    {"iss": None},
    {"aud": "https://else.example"},
    {"aud": None},
    {"aud": {"https://hub.example": 1}},
    {"exp": None},
    {"exp": 1_000_000_000},
    {"exp": True},
    {"exp": "4102444800"},
    {"exp": 10**400},
    {"nbf": 4_000_000_000},
    {"iat": 4_000_000_000},
    {"sub": None},
    {"sub": ""},
    {"sub": 5},
    {"client_id": None},
]


@pytest.mark.parametrize("claims", BAD_CLAIMS, ids=lambda claims: json.dumps(claims)[:30])
def test_claims_that_are_not_taken(desk: Desk, claims: dict[str, Any]) -> None:
    token = maker(desk).token("gateway", **claims)
    with pytest.raises(VerificationError):
        ask(issuers_of(desk), token)


def test_clocks_may_be_a_little_off(desk: Desk) -> None:
    now = int(time.time())
    assert ask(issuers_of(desk), maker(desk).token("gateway", exp=now - 10)).client
    assert ask(issuers_of(desk), maker(desk).token("gateway", nbf=now + 10)).client


def _unsigned(desk: Desk) -> str:
    good = maker(desk).token("gateway").split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt","kid":"one"}')
    return f"{header.rstrip(b'=').decode()}.{good[1]}."


def _signed_with_the_public_key(desk: Desk) -> str:
    """The old trick: an HMAC whose key everybody knows."""
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"at+jwt","kid":"one"}').rstrip(b"=")
    payload = maker(desk).token("gateway").split(".")[1].encode()
    known = desk.keys[0].as_pem(private=False)
    tag = base64.urlsafe_b64encode(hmac.digest(known, header + b"." + payload, "sha256"))
    return b".".join([header, payload, tag.rstrip(b"=")]).decode()


def _signed_by_another(desk: Desk) -> str:
    other = ECKey.generate_key("P-256", {"kid": "one"})
    return Issuer(key=other, url=ISSUER.issuer).token("gateway")


def _with_its_own_key(desk: Desk) -> str:
    other = ECKey.generate_key("P-256", {"kid": "one"})
    shown = {"jwk": other.as_dict(private=False), "jku": "https://evil.example/jwks"}
    return Issuer(key=other, url=ISSUER.issuer).token("gateway", header=shown)


def _an_id_token(desk: Desk) -> str:
    return maker(desk).token("gateway", header={"typ": "JWT"})


def _without_a_type(desk: Desk) -> str:
    payload = json.dumps(maker(desk).claims("gateway"))
    header = {"alg": "ES256", "kid": "one"}
    return jws.serialize_compact(header, payload, desk.keys[0], algorithms=["ES256"])


def _a_kid_that_is_no_text(desk: Desk) -> str:
    parts = maker(desk).token("gateway").split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"ES256","typ":"at+jwt","kid":1}')
    return ".".join([header.rstrip(b"=").decode(), *parts[1:]])


def _bent(desk: Desk) -> str:
    token = maker(desk).token("gateway")
    return token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]


def _longer(desk: Desk) -> str:
    return maker(desk).token("gateway") + "."


def _a_critical_extension(desk: Desk) -> str:
    parts = maker(desk).token("gateway").split(".")
    header = base64.urlsafe_b64encode(
        b'{"alg":"ES256","typ":"at+jwt","kid":"one","crit":["x"],"x":1}'
    )
    return ".".join([header.rstrip(b"=").decode(), *parts[1:]])


@pytest.mark.parametrize(
    "forge",
    [
        _unsigned,
        _signed_with_the_public_key,
        _signed_by_another,
        _with_its_own_key,
        _an_id_token,
        _without_a_type,
        _a_kid_that_is_no_text,
        _bent,
        _longer,
        _a_critical_extension,
    ],
)
def test_forged_tokens(desk: Desk, forge: Callable[[Desk], str]) -> None:
    with pytest.raises(VerificationError):
        ask(issuers_of(desk), forge(desk))


def test_keys_are_rotated_without_a_pause(desk: Desk) -> None:
    issuers = issuers_of(desk)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(issuers.claimed(maker(desk).token("gateway"))).client
    desk.keys = [ECKey.generate_key("P-256", {"kid": "two"})]
    new = maker(desk).token("gateway", header={"kid": "two"})
    desk.now += 31
    assert loop.run_until_complete(issuers.claimed(new)).client
    assert desk.asked == 2
    issuers.close()
    loop.close()


def test_made_up_key_ids_do_not_hammer_the_issuer(desk: Desk) -> None:
    issuers = issuers_of(desk)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(issuers.claimed(maker(desk).token("gateway"))).client
    for number in range(200):
        token = maker(desk).token("gateway", header={"kid": f"made-up-{number}"})
        with pytest.raises(VerificationError):
            loop.run_until_complete(issuers.claimed(token))
        desk.now += 0.1
    assert desk.asked <= 2
    # And who has a good token goes on.
    assert loop.run_until_complete(issuers.claimed(maker(desk).token("gateway", jti="2"))).client
    issuers.close()
    loop.close()


def test_an_issuer_that_is_away_from_the_start(desk: Desk) -> None:
    desk.failing = True
    issuers = issuers_of(desk)
    loop = asyncio.new_event_loop()
    for _ in range(20):
        with pytest.raises(IssuerDownError) as caught:
            loop.run_until_complete(issuers.claimed(maker(desk).token("gateway")))
        assert caught.value.headers["retry-after"]
    assert desk.asked == 1
    desk.failing = False
    desk.now += 6
    assert loop.run_until_complete(issuers.claimed(maker(desk).token("gateway"))).client
    issuers.close()
    loop.close()


def test_an_issuer_that_goes_away_later(desk: Desk) -> None:
    keys = IssuerKeys(ISSUER, get=desk, monotonic=desk.monotonic)
    assert keys.find("one", "ES256")
    desk.failing = True
    desk.now += ISSUER.keys_seconds + 1
    assert keys.known("one", "ES256") == ()
    # Old keys serve while nobody can be asked, for a day.
    assert keys.find("one", "ES256")
    desk.now += ISSUER.keys_stale_seconds
    with pytest.raises(TransportError):
        keys.find("one", "ES256")


def test_only_public_signing_keys_of_some_size_are_used(desk: Desk) -> None:
    small = {**RSAKey.generate_key(2048).as_dict(private=False), "n": "A" * 170, "kid": "small"}
    good = RSAKey.generate_key(2048, {"kid": "rsa"})
    encrypting = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    shared = OctKey.import_key("secret" * 10, {"kid": "oct"})
    listed: list[Any] = [
        small,
        good.as_dict(private=False),
        encrypting.as_dict(private=False),
        shared.as_dict(private=True),
        ECKey.generate_key("P-256", {"kid": "private"}).as_dict(private=True),
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "EC"},
        "text",
        None,
    ]

    def answer(url: str, **_: Any) -> dict[str, Any]:
        return {"keys": listed}

    keys = IssuerKeys(ISSUER, get=answer, monotonic=desk.monotonic)
    assert [key.kid for key in keys.find(None, "RS256")] == ["rsa"]
    assert keys.known(None, "ES256") == ()
    assert keys.known("rsa", "ES256") == ()


@pytest.mark.parametrize("keys", [None, {}, [{}] * 51])
def test_what_is_no_key_set(desk: Desk, keys: object) -> None:
    def answer(url: str, **_: Any) -> dict[str, Any]:
        return {"keys": keys}

    broken = IssuerKeys(ISSUER, get=answer, monotonic=desk.monotonic)
    with pytest.raises(TransportError):
        broken.find(None, "RS256")


ASKED = replace(
    ISSUER,
    jwks_url=None,
    introspection_url="https://login.example/introspect",
    client_id="hub",
    client_secret="secret",
)


def test_other_tokens_are_asked_about_once(desk: Desk) -> None:
    desk.answer = {"active": True, "client_id": "gateway", "aud": AUDIENCE}
    issuers = issuers_of(desk, ASKED)
    loop = asyncio.new_event_loop()
    for _ in range(3):
        found = loop.run_until_complete(issuers.claimed("opaque"))
        assert found == Claimed(ISSUER.issuer, None, "gateway")
    assert issuers.remembered("opaque") == found
    assert desk.asked == 1
    assert desk.forms == [{"token": "opaque", "token_type_hint": "access_token"}]
    desk.answer = {"active": False}
    desk.now += 31
    for _ in range(3):
        with pytest.raises(VerificationError):
            loop.run_until_complete(issuers.claimed("opaque"))
    assert issuers.remembered("opaque") is None
    assert desk.asked == 2
    issuers.close()
    loop.close()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"active": "true", "client_id": "gateway", "aud": AUDIENCE},
        {"active": True, "client_id": "gateway"},
        {"active": True, "client_id": "gateway", "aud": "else"},
        {"active": True, "client_id": "gateway", "aud": AUDIENCE, "iss": "https://else.example/"},
        {"active": True, "client_id": "gateway", "aud": AUDIENCE, "exp": 1},
        {"active": True, "aud": AUDIENCE},
    ],
    ids=lambda answer: json.dumps(answer)[:40],
)
def test_answers_that_are_not_taken(desk: Desk, answer: dict[str, Any]) -> None:
    desk.answer = answer
    with pytest.raises(VerificationError):
        ask(issuers_of(desk, ASKED), "opaque")


def test_a_token_is_shown_to_nobody_but_its_issuer(desk: Desk) -> None:
    """A JWT of another issuer is not sent to the one that may be asked."""
    other = Issuer(key=desk.keys[0], url="https://other.example/")
    with pytest.raises(VerificationError):
        ask(issuers_of(desk, ASKED), other.token("gateway"))
    assert desk.asked == 0
    with pytest.raises(InputError):
        LoginSettings(issuers=(ASKED, replace(ASKED, issuer="https://second.example/")))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing(Issuer()) as made:
        yield made


@pytest.fixture
def house(tmp_path: Path, issuer: Issuer) -> Iterator[House]:
    settings = settings_with(issuer)
    limits = replace(settings.limits, auth_failures=3)
    with House(tmp_path, replace(settings, limits=limits)) as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_token_logs_in_the_account_that_it_is_bound_to(house: House, issuer: Issuer) -> None:
    account = house.store.create_account(
        house.owner.id, "gateway", AccountKind.SERVICE, ORDINARY_ROLES
    )
    token = issuer.token("gateway")
    refused = house.ask("GET", PATH, headers=bearer(token))
    assert refused.status == 401
    assert "bound to no account" in refused.json["description"]
    made = house.store.add_login(account.id, LoginKind.CLIENT, "gateway", issuer=issuer.url)
    assert house.ask("GET", PATH, headers=bearer(token)).status == 200
    # Not as Basic password, nor by another client's or a user's token.
    basic = base64.b64encode(f"x:{token}".encode()).decode()
    for number, headers in enumerate(
        (
            {"authorization": f"Basic {basic}"},
            bearer(issuer.token("other")),
            bearer(issuer.token("gateway", sub="alice")),
        )
    ):
        answer = house.ask("GET", PATH, headers=headers, client=f"198.51.100.{number}")
        assert answer.status == 401
    house.store.remove_login(made.id)
    assert house.ask("GET", PATH, headers=bearer(token)).status == 401


def test_an_issuer_that_is_away_harms_nobody_else(house: House, issuer: Issuer) -> None:
    issuer.up = False
    answer = house.ask("GET", PATH, headers=bearer(issuer.token("gateway")))
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert house.ask("GET", PATH).status == 200


def test_guessed_access_tokens_are_limited_and_others_go_on(house: House, issuer: Issuer) -> None:
    account = house.store.create_account(
        house.owner.id, "gateway", AccountKind.SERVICE, ORDINARY_ROLES
    )
    house.store.add_login(account.id, LoginKind.CLIENT, "gateway", issuer=issuer.url)
    known = bearer(issuer.token("gateway"))
    assert house.ask("GET", PATH, headers=known).status == 200
    statuses = [
        house.ask("GET", PATH, headers=bearer(issuer.token("gateway", jti=str(n), aud="x"))).status
        for n in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]
    assert house.ask("GET", PATH).status == 200
    assert house.ask("GET", PATH, headers=known).status == 200


def test_settings_of_issuers(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    secret.chmod(0o600)
    file = tmp_path / "issuers.toml"
    file.write_text(
        '[[issuer]]\nissuer = "https://login.example/"\naudience = "https://hub.example"\n'
        'introspection_url = "https://login.example/i"\nclient_id = "hub"\n'
        'secret_file = "secret"\nalgorithms = ["ES256"]\n'
    )
    [found] = read_issuers(file)
    assert (found.client_secret, found.algorithms) == ("hush", frozenset({"ES256"}))
    assert "hush" not in repr(found)
    secret.chmod(0o644)
    with pytest.raises(InputError, match="others may read"):
        read_issuers(file)
    base = '[[issuer]]\nissuer = "https://login.example/"\naudience = "x"\n'
    for text in (
        "",
        "issuer = 1",
        "[[issuer]]\n",
        base,
        base + 'jwks_url = "http://login.example/jwks"\n',
        base + 'jwks_url = "https://user:pw@login.example/jwks"\n',
        base + 'jwks_url = "https://login.example/jwks"\nalgorithms = ["HS256"]\n',
        base + 'jwks_url = "https://login.example/jwks"\nalgorithms = ["none"]\n',
        base + 'jwks_url = "https://login.example/jwks"\nverify = false\n',
        base + 'introspection_url = "https://login.example/i"\n',
        base + 'introspection_url = "https://l.example/i"\nclient_id = "h"\nsecret_file = "no"\n',
        "\x00",
    ):
        file.write_text(text)
        with pytest.raises(InputError):
            read_issuers(file)


def test_an_unreachable_issuer_is_a_transport_error() -> None:
    with pytest.raises(TransportError):
        fetch("http://127.0.0.1:9/jwks", seconds=0.5)
