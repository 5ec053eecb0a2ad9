"""Client certificates: from whom the header is believed, and which account they log in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hub.channel.primitives.certificate import read_der, read_pem
from hub.errors import InputError
from hub.login_settings import CertificateSettings, LoginSettings
from hub.server.credentials import CertificateHeader
from hub.store.records import ORDINARY_ROLES, Account, AccountKind, LoginKind
from tests.unit.server.city import PROXY, certificate, header_of, settings_with
from tests.unit.server.harness import Answer, House

PATH = "/stillwatch/collections/"
SHOWN = certificate()
KNOWN = read_der(SHOWN.public_bytes(Encoding.DER))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, settings_with(None)) as made:
        yield made


@pytest.fixture
def account(house: House) -> Account:
    return house.store.create_account(
        house.owner.id, "gateway", AccountKind.SERVICE, ORDINARY_ROLES
    )


def ask(house: House, header: str, *, client: str = PROXY, **more: str) -> Answer:
    return house.ask("GET", PATH, who=None, headers={"client-cert": header, **more}, client=client)


def test_a_bound_certificate_logs_in(house: House, account: Account) -> None:
    assert ask(house, header_of(SHOWN)).status == 401
    made = house.store.add_login(account.id, LoginKind.CERTIFICATE, KNOWN.fingerprint)
    assert ask(house, header_of(SHOWN)).status == 200
    # Another one of the same subject is not it, whoever signed it.
    assert ask(house, header_of(certificate())).status == 401
    house.store.remove_login(made.id)
    assert ask(house, header_of(SHOWN)).status == 401


def test_a_bound_key_outlives_its_certificate(house: House, account: Account) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old, new = certificate(key=key), certificate(key=key, days=90)
    login = read_der(old.public_bytes(Encoding.DER))
    house.store.add_login(account.id, LoginKind.KEY, login.key)
    assert ask(house, header_of(old)).status == 200
    assert ask(house, header_of(new)).status == 200
    house.store.disable_account(account.id)
    assert ask(house, header_of(new)).status == 401


def test_an_expired_certificate_is_refused_though_bound(house: House, account: Account) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    over = certificate(key=key, days=-1)
    login = read_der(over.public_bytes(Encoding.DER))
    house.store.add_login(account.id, LoginKind.KEY, login.key)
    house.store.add_login(account.id, LoginKind.CERTIFICATE, login.fingerprint)
    assert ask(house, header_of(over)).status == 401
    assert ask(house, header_of(certificate(key=key))).status == 200


def test_the_header_counts_from_the_proxy_alone(house: House, account: Account) -> None:
    house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
    for number, address in enumerate(("192.0.2.2", "198.51.100.1", "2001:db8::1", "unknown", "")):
        assert ask(house, header_of(SHOWN), client=address).status == 401, number
    assert ask(house, header_of(SHOWN), client=f"::ffff:{PROXY}").status == 200


def test_what_the_proxy_says_of_the_client_does_not_make_it_one(tmp_path: Path) -> None:
    """Behind a proxy the address is the client's own claim; the connection's end is not."""
    settings = replace(settings_with(None), behind_proxy=True)
    with House(tmp_path, settings) as house:
        account = house.store.create_account(
            house.owner.id, "gateway", AccountKind.SERVICE, ORDINARY_ROLES
        )
        house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
        forged = ask(house, header_of(SHOWN), client="192.0.2.9", **{"x-forwarded-for": PROXY})
        assert forged.status == 401
        true = ask(house, header_of(SHOWN), **{"x-forwarded-for": "198.51.100.7"})
        assert true.status == 200


def test_without_configuration_the_header_means_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        account = house.store.create_account(
            house.owner.id, "gateway", AccountKind.SERVICE, ORDINARY_ROLES
        )
        house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
        assert ask(house, header_of(SHOWN)).status == 401


def test_a_token_goes_before_the_certificate(house: House, account: Account) -> None:
    house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
    wrong = {"authorization": "Bearer sw_wrong_wrong"}
    assert ask(house, header_of(SHOWN), **wrong).status == 401
    right = {"authorization": f"Bearer {house.tokens['owner']}"}
    assert ask(house, "nonsense", **right).status == 200


def test_malformed_headers(house: House, account: Account) -> None:
    house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
    good = header_of(SHOWN)
    for number, value in enumerate(
        (
            "",
            ":",
            "::",
            good[1:],
            good[:-1],
            good.replace(":", ""),
            f"{good[:40]}:",
            ":!!:",
            ":" + "A" * 40_000 + ":",
            quote(SHOWN.public_bytes(Encoding.PEM)),
            f"{good}, {good}",
        )
    ):
        assert ask(house, value, client=PROXY).status in (401, 429), number


def test_two_headers_are_none(house: House, account: Account) -> None:
    house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
    reader = settings_with(None).logins.certificates
    assert reader is not None
    line = (b"client-cert", header_of(SHOWN).encode())
    assert CertificateHeader(reader).certificate([line], PROXY) == KNOWN
    assert CertificateHeader(reader).certificate([line, line], PROXY) is None


def test_nginx_writes_an_escaped_pem(tmp_path: Path) -> None:
    logins = LoginSettings(CertificateSettings("x-ssl-client-cert", ("192.0.2.0/24",)))
    with House(tmp_path, replace(settings_with(None), logins=logins)) as house:
        account = house.store.create_account(
            house.owner.id, "gateway", AccountKind.SERVICE, ORDINARY_ROLES
        )
        house.store.add_login(account.id, LoginKind.KEY, KNOWN.key)
        pem = quote(SHOWN.public_bytes(Encoding.PEM))
        two = quote(SHOWN.public_bytes(Encoding.PEM) * 2)
        for value, status in ((pem, 200), (two, 401), ("%zz", 401), (header_of(SHOWN), 401)):
            answer = house.ask("GET", PATH, who=None, headers={"x-ssl-client-cert": value})
            assert answer.status == status


def test_settings() -> None:
    for header, proxies in (
        ("authorization", ("127.0.0.1",)),
        ("Bad Header", ("127.0.0.1",)),
        ("client-cert", ()),
        ("client-cert", ("localhost",)),
        ("client-cert", ("127.0.0.1/8",)),
    ):
        with pytest.raises(InputError):
            CertificateSettings(header, proxies)


def test_what_is_no_certificate() -> None:
    with pytest.raises(InputError):
        read_der(b"text")
    with pytest.raises(InputError):
        read_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert read_pem(SHOWN.public_bytes(Encoding.PEM)) == KNOWN
