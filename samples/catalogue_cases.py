"""The catalogue's patterns, each with observations that match and near misses that must not.

A case is one bundle: one or more `observed-data` and the observables that they refer to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from catalogue_observations import (
    OLD_KEY,
    account,
    asked,
    case,
    exchange,
    fp,
    seen,
    traffic,
    v4,
    v6,
    window,
)

from hub.fingerprint import prompts
from hub.model.codec import Json
from hub.model.extension import LLM_ACCOUNT
from hub.model.observables import observable
from hub.model.pattern import ACCOUNT, NETWORK, USER_AGENT, any_of, contains, equals, matches


@dataclass(frozen=True)
class Case:
    """A pattern and the bundles that it must and must not match, each bundle on its own."""

    pattern: str
    positive: list[Json]
    negative: list[Json]


def _account_cases() -> dict[str, Case]:
    domain = "mailbox-farm.example"
    mails = ["nora.quill4471@mailbox-farm.example", "ivo.sandle0932@mailbox-farm.example"]
    shape = "^l{3,7}[.]l{4,7}d{4}$"

    def shaped(domain_class: str, local_part: str) -> Json:
        return account(email_domain_class=domain_class, local_part_shape=local_part)

    def keyed(kind: str, raw: str, other: str) -> Case:
        return Case(
            equals(f"{ACCOUNT}fp_tokens[*]", fp(kind, raw)),
            [
                case(seen(account(fp_tokens=[fp(kind, raw)]))),
                case(seen(account(fp_tokens=[fp(kind, other), fp(kind, raw)]))),
            ],
            [
                case(seen(account(fp_tokens=[fp(kind, other)]))),
                case(seen(account(fp_tokens=[fp(kind, raw, OLD_KEY)]))),
                case(seen(account())),
            ],
        )

    def batch(size: int, step: int, path: str = "education") -> Json:
        start = datetime(2026, 10, 1, 2, tzinfo=UTC)
        return case(
            *(
                seen(
                    account(
                        f"acct-{index:04}",
                        signup_time=f"{start + timedelta(seconds=30 + index):%Y-%m-%dT%H:%M:%SZ}",
                        verification_path=path,
                    ),
                    at=index * step,
                )
                for index in range(size)
            )
        )

    return {
        "account.email-domain": Case(
            equals(f"{ACCOUNT}email_domain", domain),
            [case(seen(account(email_domain=domain)))],
            [
                case(seen(account(email_domain=f"{domain}.invalid"))),
                case(seen(account(email_domain=f"sub.{domain}"))),
                case(seen(account())),
            ],
        ),
        "account.email-shape": Case(
            f"[{ACCOUNT}email_domain_class = 'disposable'"
            f" AND {ACCOUNT}local_part_shape MATCHES '{shape}']",
            [
                case(seen(shaped("disposable", "llll.lllllldddd"))),
                case(seen(shaped("disposable", "lll.llllldddd"))),
            ],
            [
                case(seen(shaped("corporate", "llll.lllllldddd"))),
                case(seen(shaped("disposable", "llll_lllllldddd"))),
                case(seen(shaped("disposable", "llll.llllllddddd"))),
            ],
        ),
        "account.email-keyed": Case(
            any_of(f"{ACCOUNT}fp_tokens[*]", [fp("email", mail) for mail in mails]),
            [
                case(seen(account(fp_tokens=[fp("email", mails[1])]))),
                case(seen(account(fp_tokens=[fp("phone", "+12025550143"), fp("email", mails[0])]))),
            ],
            [
                case(seen(account(fp_tokens=[fp("email", "nora.quill4472@mailbox-farm.example")]))),
                case(seen(account(fp_tokens=[fp("email", mails[0], OLD_KEY)]))),
                case(seen(account(fp_tokens=[fp("email", mails[0]).replace("email", "name")]))),
            ],
        ),
        "account.payment-keyed": keyed(
            "payment-instrument", "fp:Vq3xSampleCard01", "fp:Vq3xSampleCard02"
        ),
        "account.phone-keyed": keyed("phone", "+1 202 555 0143", "+1 202 555 0144"),
        "account.device-keyed": keyed("device", "device-sample-000771", "device-sample-000772"),
        "account.api-key-keyed": keyed("api-key", "sk-fic-7Qexample0001", "sk-fic-7Qexample0002"),
        "account.api-key-prefix": Case(
            equals(f"{ACCOUNT}api_key_prefix", "sk-fic-7Q"),
            [case(seen(account(api_key_prefix="sk-fic-7Q")))],
            [
                case(seen(account(api_key_prefix="sk-fic-7q"))),
                case(seen(account(api_key_prefix="sk-fic-7Q0"))),
            ],
        ),
        "account.org-token": keyed("org", "Example Relay Ltd", "Example Relay GmbH"),
        "account.name-shape": Case(
            equals(f"{ACCOUNT}display_name_shape", "Ullll-Ullll-dddd"),
            [case(seen(account(display_name_shape="Ullll-Ullll-dddd")))],
            [
                case(seen(account(display_name_shape="Ullll-Ullll-ddd"))),
                case(seen(account(display_name_shape="ullll-Ullll-dddd"))),
            ],
        ),
        "account.signup-batch": Case(
            f"[{ACCOUNT}signup_time > t'2026-10-01T02:00:00Z'"
            f" AND {ACCOUNT}signup_time < t'2026-10-01T02:15:00Z'"
            f" AND {ACCOUNT}verification_path = 'education']"
            " REPEATS 20 TIMES WITHIN 900 SECONDS",
            [batch(20, 30)],
            [batch(19, 30), batch(20, 60), batch(20, 30, "enterprise")],
        ),
    }


def _network_cases() -> dict[str, Case]:
    ja4, headers = "t13d1516h2_8daaf6152771_e5627efa2ab1", hashlib.sha256(b"order").hexdigest()
    ja3 = "9dd4e461268c8034f5c8564e155c67a6"
    cert = hashlib.sha256(b"sample relay certificate").hexdigest()
    ja4x = "2166164053c1_2166164053c1_30d204a01551"
    here = v4("192.0.2.44")

    def from_asn(number: int) -> Json:
        system = observable("autonomous-system", number=number)
        source = observable("ipv4-addr", value="203.0.113.9", belongs_to_refs=[system["id"]])
        return case(seen(system, *traffic(source)))

    def hosts(*names: str) -> Json:
        return case(seen(*(observable("domain-name", value=name) for name in names)))

    def certificate(**hashes: str) -> Json:
        named = {name.replace("_", "-"): value for name, value in hashes.items()}
        return case(seen(observable("x509-certificate", hashes=named)))

    def client(**fields: Any) -> Json:
        return case(seen(*traffic(here, **fields)))

    return {
        "network.ipv4": Case(
            equals("ipv4-addr:value", "192.0.2.44"),
            [case(seen(here)), case(seen(v4("192.0.2.4"), here))],
            [
                case(seen(v4("192.0.2.4"))),
                case(seen(v4("192.0.2.144"))),
                case(seen(v6("2001:db8::c000:22c"))),
            ],
        ),
        "network.cidr4": Case(
            "[ipv4-addr:value ISSUBSET '198.51.100.0/24']",
            [
                case(seen(v4("198.51.100.0"))),
                case(seen(v4("198.51.100.255"))),
                case(seen(v4("198.51.100.128/25"))),
            ],
            [
                case(seen(v4("198.51.101.0"))),
                case(seen(v4("198.51.99.255"))),
                case(seen(v4("198.51.100.0/23"))),
            ],
        ),
        "network.cidr6": Case(
            "[ipv6-addr:value ISSUBSET '2001:db8:dead::/48']",
            [
                case(seen(v6("2001:db8:dead::1"))),
                case(seen(v6("2001:0DB8:DEAD:ffff:ffff:ffff:ffff:ffff"))),
            ],
            [
                case(seen(v6("2001:db8:deae::1"))),
                case(seen(v6("2001:db8::dead"))),
            ],
        ),
        "network.asn": Case(
            "[network-traffic:src_ref.belongs_to_refs[*].number = 64496]",
            [from_asn(64496)],
            [from_asn(64497), from_asn(6449)],
        ),
        "network.domain": Case(
            any_of("domain-name:value", ["api.resell-llm.example", "relay.resell-llm.example"]),
            [hosts("api.resell-llm.example"), hosts("www.example", "relay.resell-llm.example")],
            [hosts("resell-llm.example"), hosts("api.resell-llm.example.invalid")],
        ),
        "network.x509": Case(
            f"[x509-certificate:hashes.'SHA-256' = '{cert}']",
            [certificate(SHA_256=cert)],
            [
                certificate(SHA_256=hashlib.sha256(b"another").hexdigest()),
                certificate(SHA_512=cert * 2),
            ],
        ),
        "network.ja3": Case(
            equals(f"{NETWORK}ja3", ja3),
            [client(ja3=ja3), client(ja3=ja3, ja4=ja4)],
            [client(ja3=ja3[::-1]), client(ja4=ja4)],
        ),
        "network.ja4": Case(
            f"[{NETWORK}ja4 = '{ja4}' AND {NETWORK}header_order_sha256 = '{headers}']",
            [client(ja4=ja4, header_order_sha256=headers)],
            [
                client(ja4=ja4),
                client(header_order_sha256=headers),
                client(ja4=ja4.replace("t13", "q13"), header_order_sha256=headers),
            ],
        ),
        "network.ja4x": Case(
            equals(f"{NETWORK}ja4x", ja4x),
            [client(ja4x=ja4x)],
            [client(ja4x="2166164053c1_2166164053c1_30d204a01552"), client(ja4=ja4)],
        ),
        "network.user-agent": Case(
            matches(USER_AGENT, "^relay-pool/[0-9]+"),
            [client(agent="relay-pool/3"), client(agent="relay-pool/12 (batch)")],
            [
                client(agent="Mozilla/5.0 relay-pool/3"),
                client(agent="relay-pool/x"),
                client(ja3=ja3),
            ],
        ),
        "network.gateway-egress": Case(
            f"[{NETWORK}egress_class = 'llm-gateway'"
            f" AND {NETWORK}gateway_software IN ('new-api','one-api')]",
            [
                client(egress_class="llm-gateway", gateway_software="one-api"),
                client(egress_class="llm-gateway", gateway_software="new-api", ja4=ja4),
            ],
            [
                client(egress_class="llm-gateway", gateway_software="litellm"),
                client(egress_class="datacenter", gateway_software="one-api"),
                client(egress_class="llm-gateway"),
            ],
        ),
    }


TEMPLATE: Final = (
    "You are a careful tutor. Solve the task below, write out every intermediate reasoning step "
    "as a numbered list, name the rule that justifies each step, check the result by a second "
    "method, and end with the line FINAL ANSWER. Task {number}: a tank holds {litres} litres and "
    "loses {rate} litres every hour; after how many hours is it half empty?"
)
RUBRIC: Final = "Grade the answer by this rubric: give a score from 1 to 10, one integer only."
HONEST: Final = (
    "Explain to my daughter, who is nine, why a bathtub empties slower and slower near the end, "
    "without formulas, in five friendly sentences, please."
)


def _prompt_cases() -> dict[str, Case]:
    prompt = TEMPLATE.format(number=17, litres=240, rate=15)
    renumbered = TEMPLATE.format(number=92, litres=1000, rate=40)
    reworded = prompt.replace("careful tutor", "patient tutor").replace("half empty", "half full")
    facts = prompts.features(prompt)
    path = "llm-exchange:prompt."
    keyed = hashlib.sha256(b"keyed " + prompt.encode()).hexdigest()
    sims = ["sh64.8x8:00:00000000000000a3", "sh64.8x8:03:000000000000001f"]
    tlsh = "T1" + "A0" * 35
    model = "e5-small-v2.kmeans4096.v1"
    space, cr = asked(prompt.replace("tutor. ", "tutor.  ")), asked(f"{prompt}\n")

    def derived(**fields: Any) -> Json:
        return case(seen(exchange(prompt=fields)))

    def focused(focus: str, times: int, lasting: int, provider: str = "example-lab") -> Json:
        found = exchange(provider_name=provider, capability_focus=["coding", focus])
        return case(seen(found, times=times, lasting=lasting))

    return {
        "prompt.sha256-raw": Case(
            equals(f"{path}sha256_raw", facts.sha256_raw),
            [case(seen(asked(prompt)))],
            [case(seen(cr)), case(seen(asked(renumbered)))],
        ),
        "prompt.sha256-norm": Case(
            equals(f"{path}sha256_norm", facts.sha256_norm),
            [case(seen(asked(prompt))), case(seen(space))],
            [case(seen(asked(reworded))), case(seen(asked(HONEST)))],
        ),
        "prompt.hmac-norm": Case(
            equals(f"{path}hmac_norm", keyed),
            [derived(hmac_norm=keyed)],
            [derived(hmac_norm=keyed[::-1]), derived(sha256_norm=keyed)],
        ),
        "prompt.literal": Case(
            contains(f"{path}text", "write out every intermediate reasoning step"),
            [case(seen(asked(prompt))), case(seen(asked(reworded)))],
            [
                case(seen(asked("Write out every single reasoning step, then the answer."))),
                case(seen(asked("Please write out every intermediate reasoning-step."))),
                case(seen(asked(HONEST))),
            ],
        ),
        "prompt.regex": Case(
            matches(
                f"{path}text",
                r"(?i)\bgrade .{0,40}(rubric|criteria).{0,200}(score|integer)"
                r".{0,40}1\s*(-|to)\s*(5|10|100)",
            ),
            [
                case(seen(asked(RUBRIC))),
                case(seen(asked("GRADE it on these criteria with a score of 1 - 5."))),
            ],
            [
                case(seen(asked("Score it from 1 to 10, then grade it by the rubric."))),
                case(seen(asked("Upgrade my rubric, a score from 1 in 10 is odd."))),
            ],
        ),
        "prompt.template": Case(
            equals(f"{path}template_sha256", facts.template_sha256),
            [case(seen(asked(prompt))), case(seen(asked(renumbered)))],
            [case(seen(asked(reworded))), case(seen(asked(HONEST)))],
        ),
        "prompt.minhash-lsh": Case(
            any_of(f"{path}lsh_bands[*]", facts.lsh_bands),
            [case(seen(asked(prompt))), case(seen(asked(reworded)))],
            [case(seen(asked(HONEST))), case(seen(asked(RUBRIC)))],
        ),
        "prompt.simhash": Case(
            any_of(f"{path}lsh_bands[*]", sims),
            [derived(lsh_bands=[sims[1], "sh64.8x8:05:0000000000000002"])],
            [
                derived(lsh_bands=["sh64.8x8:01:00000000000000a3"]),
                derived(lsh_bands=["sh64.8x8:00:000000000000001f"]),
            ],
        ),
        "prompt.tlsh": Case(
            equals(f"{path}tlsh", tlsh),
            [derived(tlsh=tlsh)],
            [derived(tlsh=tlsh[:-1] + "1"), derived(simhash64="a0" * 8)],
        ),
        "prompt.embedding-cell": Case(
            f"[{path}embedding_profile = '{model}'"
            f" AND {path}embedding_cells[*] IN ('c0172','c2311')]",
            [derived(embedding_profile=model, embedding_cells=["c0009", "c2311"])],
            [
                derived(embedding_profile="e5-large-v2.kmeans4096.v1", embedding_cells=["c2311"]),
                derived(embedding_profile=model, embedding_cells=["c0171"]),
            ],
        ),
        "prompt.cot-elicitation": Case(
            "[llm-exchange:capability_focus[*] = 'chain-of-thought'"
            " AND llm-exchange:provider_name = 'example-lab']"
            " REPEATS 200 TIMES WITHIN 3600 SECONDS",
            [focused("chain-of-thought", 200, 3000)],
            [
                focused("chain-of-thought", 199, 3000),
                focused("chain-of-thought", 200, 3000, "another-lab"),
                focused("tool-use", 200, 3000),
            ],
        ),
        "prompt.rubric-grading": Case(
            "[llm-exchange:capability_focus[*] = 'rubric-grading']"
            " REPEATS 250 TIMES WITHIN 86400 SECONDS",
            [focused("rubric-grading", 250, 80000)],
            [focused("rubric-grading", 249, 80000), focused("data-analysis", 250, 80000)],
        ),
    }


def _behaviour_cases() -> dict[str, Case]:
    org = fp("org", "Example Relay Ltd")
    card = fp("payment-instrument", "fp:Vq3xSampleCard01")
    relay = v4("192.0.2.44")
    thinking = exchange(capability_focus=["chain-of-thought"])

    def used(model: str, times: int, token_: str = org) -> Json:
        holder = account(fp_tokens=[token_])
        found = exchange(request_model=model, account_ref=holder["id"])
        return case(seen(found, holder, times=times, lasting=50))

    def paid(count: int, step: int, token_: str = card) -> Json:
        return case(
            *(
                seen(account(f"acct-{index:04}", fp_tokens=[token_]), at=index * step)
                for index in range(count)
            )
        )

    def one(**fields: Any) -> Json:
        return case(seen(window(**fields)))

    return {
        "behaviour.volume": Case(
            "[llm-exchange:request_model LIKE 'example-frontier-%' AND "
            f"llm-exchange:account_ref.extensions.'{LLM_ACCOUNT}'.fp_tokens[*] = '{org}']"
            " REPEATS 250 TIMES WITHIN 60 SECONDS",
            [used("example-frontier-4", 250)],
            [
                used("example-frontier-4", 249),
                used("example-small-4", 250),
                used("example-frontier-4", 250, fp("org", "Example Relay GmbH")),
            ],
        ),
        "behaviour.concurrency": Case(
            "[llm-exchange:window.max_concurrency >= 64 AND llm-exchange:window.distinct_accounts"
            " >= 20 AND llm-exchange:window.distinct_sources <= 4]",
            [
                one(max_concurrency=220, distinct_accounts=312, distinct_sources=4),
                one(max_concurrency=64, distinct_accounts=20, distinct_sources=1),
            ],
            [
                one(max_concurrency=63, distinct_accounts=312, distinct_sources=4),
                one(max_concurrency=220, distinct_accounts=312, distinct_sources=5),
                one(max_concurrency=220, distinct_accounts=312),
            ],
        ),
        "behaviour.load-balance": Case(
            "[llm-exchange:window.account_share_gini <= 0.15 AND llm-exchange:window."
            "distinct_accounts >= 50 AND llm-exchange:window.template_ratio >= 0.8]",
            [one(account_share_gini=0.08, distinct_accounts=312, template_ratio=0.91)],
            [
                one(account_share_gini=0.16, distinct_accounts=312, template_ratio=0.91),
                one(account_share_gini=0.08, distinct_accounts=49, template_ratio=0.91),
                one(account_share_gini=0.08, distinct_accounts=312, template_ratio=0.79),
            ],
        ),
        "behaviour.sync-timing": Case(
            "[llm-exchange:window.burst_sync_score >= 0.9"
            " AND llm-exchange:window.distinct_accounts >= 20]",
            [one(burst_sync_score=0.94, distinct_accounts=20)],
            [
                one(burst_sync_score=0.89, distinct_accounts=312),
                one(burst_sync_score=1.0, distinct_accounts=19),
            ],
        ),
        "behaviour.shared-payment": Case(
            f"[{ACCOUNT}fp_tokens[*] = '{card}'] REPEATS 5 TIMES WITHIN 2592000 SECONDS",
            [paid(5, 86400)],
            [
                paid(4, 86400),
                paid(5, 700000),
                paid(5, 60, fp("payment-instrument", "fp:Vq3xOther")),
            ],
        ),
        "behaviour.release-pivot": Case(
            "[llm-exchange:window.hours_since_model_release <= 24 AND llm-exchange:window."
            "model_switch_ratio >= 0.4 AND llm-exchange:window.distinct_accounts >= 50]",
            [one(hours_since_model_release=19.5, model_switch_ratio=0.47, distinct_accounts=312)],
            [
                one(hours_since_model_release=24.5, model_switch_ratio=0.47, distinct_accounts=312),
                one(hours_since_model_release=19.5, model_switch_ratio=0.39, distinct_accounts=312),
            ],
        ),
        "behaviour.capability-focus": Case(
            "[llm-exchange:capability_focus[*] IN ('agentic-reasoning','tool-use','coding')"
            " AND llm-exchange:window.template_ratio >= 0.9]",
            [one(focus=["data-analysis", "coding"], template_ratio=0.9)],
            [
                one(focus=["data-analysis"], template_ratio=0.95),
                one(focus=["coding"], template_ratio=0.89),
                one(template_ratio=0.95),
            ],
        ),
        "behaviour.sequence": Case(
            "([ipv4-addr:value = '192.0.2.44'] FOLLOWEDBY "
            "[llm-exchange:capability_focus[*] = 'chain-of-thought']) WITHIN 600 SECONDS",
            [case(seen(relay), seen(thinking, at=300))],
            [
                case(seen(relay, at=300), seen(thinking)),
                case(seen(relay), seen(thinking, at=601)),
                case(seen(relay)),
                case(seen(v4("192.0.2.45")), seen(thinking, at=300)),
            ],
        ),
    }


def _output_cases() -> dict[str, Case]:
    def out(**fields: Any) -> Json:
        return case(seen(exchange(output=fields)))

    return {
        "output.canary": Case(
            equals("llm-exchange:output.canary_ids[*]", "cnry-7f3a91"),
            [out(canary_ids=["cnry-000001", "cnry-7f3a91"])],
            [out(canary_ids=["cnry-7f3a92"]), out(canary_ids=["cnry-7f3a91-x"])],
        ),
        "output.watermark": Case(
            "[llm-exchange:output.watermark_scheme = 'kgw-v2'"
            " AND llm-exchange:output.watermark_zscore >= 6.0]",
            [
                out(watermark_scheme="kgw-v2", watermark_zscore=6.0),
                out(watermark_scheme="kgw-v2", watermark_zscore=11.25),
            ],
            [
                out(watermark_scheme="kgw-v2", watermark_zscore=5.99),
                out(watermark_scheme="kgw-v1", watermark_zscore=11.25),
            ],
        ),
    }


_LAYERS: Final[tuple[Callable[[], Mapping[str, Case]], ...]] = (
    _account_cases,
    _network_cases,
    _prompt_cases,
    _behaviour_cases,
    _output_cases,
)


def cases() -> dict[str, Case]:
    """All kinds in the order of the catalogue."""
    return {kind: found for layer in _LAYERS for kind, found in layer().items()}
