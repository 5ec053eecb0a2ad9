"""Who is in the story: the planted accounts, the honest ones, and honest ones that look alike."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import replace
from datetime import timedelta
from typing import Final

from generator import story
from generator.lab import ACCOUNTS, Known
from generator.plan import COPPER, LANTERN, Customer, at

LANTERN_ACCOUNTS: Final = 26
COPPER_ACCOUNTS: Final = 14
BENIGN_ACCOUNTS: Final = 300
COLUMNS: Final = (
    "account_id",
    "email",
    "phone",
    "payment",
    "device",
    "name",
    "org",
    "signup_time",
)
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


class Mint:
    """Makes identifiers that are not given out twice."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._phones = [
            f"+1{area}55501{number:02d}"
            for area in (202, 303, 415, 512, 617)
            for number in range(100)
        ]
        rng.shuffle(self._phones)
        self._people = [(f, s) for f in story.FIRST_NAMES for s in story.LAST_NAMES]
        self._people.remove(("Lina", "Marsh"))
        rng.shuffle(self._people)

    def phone(self) -> str:
        """A number of the range kept for fiction, in E.164."""
        return self._phones.pop()

    def person(self) -> tuple[str, str]:
        """First and last name."""
        return self._people.pop()

    def payment(self) -> str:
        """A payment processor's fingerprint of an instrument."""
        return "pmfp_" + "".join(self._rng.choices(_ALPHABET, k=16))

    def device(self) -> str:
        """A device id as a UUID in lower case."""
        digits = f"{self._rng.getrandbits(128):032x}"
        return "-".join(
            (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
        )


def spell_phone(phone: str, choice: int) -> str:
    """One number in the spellings of several databases."""
    area, head, tail = phone[2:5], phone[5:8], phone[8:]
    return (
        phone,
        f"+1 {area}-{head}-{tail}",
        f"+1 ({area}) {head} {tail}",
        f"+1.{area}.{head}.{tail}",
    )[choice % 4]


def spell_email(email: str, choice: int) -> str:
    """One mailbox in the spellings of several sign-up forms."""
    local, _, domain = email.partition("@")
    return (
        email,
        f"{local.title()}@{domain.upper()}",
        f"{local}+gw{choice}@{domain}",
        f" {local}@{domain}. ",
    )[choice % 4]


def hydra(mint: Mint) -> tuple[list[Customer], list[Known]]:
    """The planted accounts, and the rows about them that the lab has."""
    payments = {name: mint.payment() for name in ("lantern-1", "lantern-2", "copper-1")}
    devices = {f"lantern-{n}": mint.device() for n in range(4)}
    customers = [
        _planted(n, mint, payments, devices) for n in range(LANTERN_ACCOUNTS + COPPER_ACCOUNTS)
    ]
    shown = [_as_provider_spells(n, customer) for n, customer in enumerate(customers)]
    return shown, _known(customers, payments, mint)


def _planted(n: int, mint: Mint, payments: dict[str, str], devices: dict[str, str]) -> Customer:
    campaign = LANTERN if n < LANTERN_ACCOUNTS else COPPER
    payment = "lantern-1" if n < 13 else "lantern-2" if n < 22 else f"own-{n}"
    if campaign == COPPER:
        payment = "copper-1" if n < 34 else f"own-{n}"
    device = f"lantern-{n % 4}" if n < 16 else f"own-{n}"
    first, last = ("Lina", "Marsh") if n == 0 else mint.person()
    domain = story.HYDRA_DOMAINS[n % 2]
    return Customer(
        account_id=f"cus-{7000 + 13 * n}",
        email=_SPECIAL_EMAILS.get(n, f"{first}.{last}@{domain}".lower()),
        phone=mint.phone(),
        payment=payments.get(payment) or mint.payment(),
        device=devices.get(device) or mint.device(),
        name=f"{first} {last}",
        org="",
        signup_time=at("2026-10-01T02:00") + timedelta(seconds=37 * n),
        facts=frozenset({f"mail:{n}", f"phone:{n}", f"pay:{payment}", f"device:{device}"}),
        cluster=campaign,
    )


# Dots and an alias domain at a provider that ignores dots (an underscore cannot occur in a real
# mailbox there), and a domain outside ASCII.
_SPECIAL_EMAILS: Final = {
    1: "sam_ple.hydra.07@gmail.com",
    2: "post.stelle@bücher-lager.example",
}


def _as_provider_spells(n: int, customer: Customer) -> Customer:
    email = spell_email(customer.email, n or 2)
    if n == 1:
        email = "Sam_PleHydra.07+batch@googlemail.com"
    elif n == 2:
        email = "Post.Stelle@xn--bcher-lager-thb.example"
    return replace(
        customer,
        email=email,
        phone=spell_phone(customer.phone, n),
        device=customer.device.upper() if n % 2 else customer.device.replace("-", ""),
    )


def _known(customers: list[Customer], payments: dict[str, str], mint: Mint) -> list[Known]:
    """What the lab knows: mailboxes of half the accounts, shared payments, a few phones."""
    known = [
        Known(
            LANTERN,
            frozenset({f"mail:{n}"}),
            email=customers[n].email,
            first_seen="2026-10-30",
        )
        for n in range(10)
    ]
    known += [
        Known(
            LANTERN,
            frozenset({f"mail:{n}", f"phone:{n}"}),
            email=customers[n].email,
            phone=spell_phone(customers[n].phone, n + 1),
        )
        for n in range(10, 14)
    ]
    known.append(Known(LANTERN, frozenset({"pay:lantern-1"}), payment=payments["lantern-1"]))
    known.append(Known(LANTERN, frozenset({"pay:lantern-2"}), payment=payments["lantern-2"]))
    known.append(
        Known(LANTERN, frozenset({"device:lantern-3"}), device=customers[3].device.upper())
    )
    known.append(
        Known(
            COPPER,
            frozenset({"mail:26", "pay:copper-1"}),
            email=customers[26].email,
            payment=payments["copper-1"],
        )
    )
    known += [
        Known(COPPER, frozenset({f"phone:{n}"}), phone=customers[n].phone) for n in range(27, 31)
    ]
    known.append(
        Known(
            COPPER,
            frozenset({"mail:34"}),
            email=customers[34].email,
            first_seen="2026-11-11T06:00",
        )
    )
    known += [
        Known(campaign, frozenset(), email=f"{first}.{last}@inbox-harbor.example".lower())
        for campaign, (first, last) in zip(
            (LANTERN, LANTERN, COPPER, COPPER), (mint.person() for _ in range(4)), strict=True
        )
    ]
    known.append(Known(LANTERN, frozenset(), api_key="sk-fic-7Q0000000000sample0000000001"))
    return known


def benign(mint: Mint, rng: random.Random) -> list[Customer]:
    """Honest customers, each with identifiers of their own."""
    customers = []
    for n in range(BENIGN_ACCOUNTS):
        first, last = mint.person()
        domain = rng.choice(story.BENIGN_DOMAINS)
        customers.append(
            Customer(
                account_id=f"cus-{1000 + 7 * n}",
                email=f"{first}.{last}@{domain}".lower(),
                phone=spell_phone(mint.phone(), n) if n % 5 else "",
                payment=mint.payment() if n % 4 else "",
                device=mint.device(),
                name=f"{first} {last}",
                org=domain.partition(".")[0].replace("-", " ").title() if n % 3 else "",
                signup_time=at("2026-01-05") + timedelta(minutes=rng.randrange(400_000)),
            )
        )
    return customers


def lookalikes(planted: list[Customer], mint: Mint) -> list[Customer]:
    """Honest customers that differ from a lab's row by what normalising must keep."""
    lina, third = planted[0], planted[3]
    phone = planted[27].phone
    changed = phone[:-1] + str((int(phone[-1]) + 1) % 10)
    made = [
        ("Lina March", "lina.march@mail-farm.example", {}, 2, "same domain, other mailbox"),
        ("Lea Innis", "linamarsh@mail-farm.example", {}, 2, "dots matter at this domain"),
        ("Lina Marsh", "lina.marsh@harbor-clinic.example", {}, 2, "same name, other domain"),
        ("Lina Marsh", "lina.marsh@eu.mail-farm.example", {}, 2, "a domain below the listed one"),
        ("Lona Marsh", "lina.marsh-gw@mail-farm.example", {}, 2, "a hyphen is not a tag"),
        (
            "Otto Fenn",
            "otto.fenn@birchfield.example",
            {"payment": lina.payment.swapcase()},
            16,
            "payment fingerprints keep their case",
        ),
        (
            "Ruth Galen",
            "ruth.galen@birchfield.example",
            {"phone": changed},
            20,
            "last digit differs",
        ),
        (
            "Emil Sorge",
            "emil.sorge@grainline.example",
            {"device": third.device[:-1] + ("0" if third.device[-1] != "0" else "1")},
            18,
            "last digit of the device differs",
        ),
    ]
    return [
        Customer(
            account_id=f"cus-{3500 + n}",
            email=email,
            phone=values.get("phone", mint.phone()),
            payment=values.get("payment", mint.payment()),
            device=values.get("device", mint.device()),
            name=name,
            org="",
            signup_time=at("2026-06-01") + timedelta(days=n),
            near=((f"{ACCOUNTS}:{line}", reason),),
        )
        for n, (name, email, values, line, reason) in enumerate(made)
    ]


def table(customers: list[Customer]) -> str:
    """The customer table as CSV, in the order of the account ids."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for c in sorted(customers, key=lambda c: c.account_id):
        writer.writerow(
            (
                c.account_id,
                c.email,
                c.phone,
                c.payment,
                c.device,
                c.name,
                c.org,
                f"{c.signup_time:%Y-%m-%dT%H:%M:%SZ}",
            )
        )
    return out.getvalue()
