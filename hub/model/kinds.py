"""The catalogue: 44 kinds of indicator, by what they describe and how careful to be with them.

A pattern of each, with observations that match and near misses that must not, is in
`samples/indicators/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from hub.model.fields import Action, Decay, IndicatorControls, Layer, PrivacyForm

BaseRate = Literal["very-low", "low", "medium", "high", "very-high"]
"""How often honest traffic shows the same: at `high` and above a kind only corroborates."""
MINHASH_PROFILE: Final = "mh3w.64.16x4"


@dataclass(frozen=True)
class KindInfo:
    """One kind of indicator.

    Args:
        kind: its name, `layer.what`.
        layer: which side of an exchange it describes.
        privacy_form: the form in which the described value travels.
        describes: what it says about an attack, in a sentence.
        base_rate: the risk that honest traffic matches too.
        caution: where that risk comes from.
        max_action: the harshest proportionate automatic answer.
        lifetime_days: after how many days without a sighting nothing is left of its confidence.
        indicator_type: of the open vocabulary `indicator-type-ov`.
        match_profile, min_band_hits, group_by, count_distinct: defaults of `indicator-controls`.
    """

    kind: str
    layer: Layer
    privacy_form: PrivacyForm
    describes: str
    base_rate: BaseRate
    caution: str
    max_action: Action
    lifetime_days: int = 30
    indicator_type: str = "malicious-activity"
    match_profile: str | None = None
    min_band_hits: int | None = None
    group_by: tuple[str, ...] = ()
    count_distinct: str | None = None

    @property
    def needs_corroboration(self) -> int:
        """How many indicators of other layers must agree before anything is enforced."""
        return {"very-low": 0, "low": 0, "medium": 1, "high": 1, "very-high": 2}[self.base_rate]

    @property
    def controls(self) -> IndicatorControls:
        """The `indicator-controls` that an indicator of this kind carries by default."""
        return IndicatorControls(
            indicator_kind=self.kind,
            layer=self.layer,
            privacy_form=self.privacy_form,
            match_profile=self.match_profile,
            min_band_hits=self.min_band_hits,
            group_by=list(self.group_by) or None,
            count_distinct=self.count_distinct,
            decay=Decay(model="polynomial", lifetime_days=self.lifetime_days, speed=2, floor=0),
            max_action=self.max_action,
            needs_corroboration=self.needs_corroboration,
        )


_ACCOUNT: Final = (
    KindInfo(
        "account.email-domain",
        "account",
        "plain",
        "Accounts registered with e-mail addresses of one domain that a campaign controls.",
        "medium",
        "High for shared and free-mail domains; low for a domain that the campaign registered.",
        "challenge",
    ),
    KindInfo(
        "account.email-shape",
        "account",
        "plain",
        "Accounts whose e-mail addresses were made by one generator: domain class and the shape "
        "of the local part (l a letter, d a digit).",
        "high",
        "Many honest addresses have the same shape.",
        "challenge",
    ),
    KindInfo(
        "account.email-keyed",
        "account",
        "hmac",
        "Accounts of known e-mail addresses, as tokens under the channel's fingerprint key.",
        "very-low",
        "Exact; an address may have changed hands.",
        "suspend",
        90,
    ),
    KindInfo(
        "account.payment-keyed",
        "account",
        "hmac",
        "Accounts paid by a known card or wallet, as tokens under the channel's fingerprint key.",
        "very-low",
        "Exact; resellers of virtual cards share numbers.",
        "suspend",
        90,
    ),
    KindInfo(
        "account.phone-keyed",
        "account",
        "hmac",
        "Accounts verified by a known phone number, as tokens under the channel's fingerprint key.",
        "medium",
        "SMS rental recycles numbers; few digits, so a holder of the key can enumerate them.",
        "challenge",
    ),
    KindInfo(
        "account.device-keyed",
        "account",
        "hmac",
        "Accounts used from a known device, as tokens under the channel's fingerprint key.",
        "medium",
        "Shared machines; fingerprints that are not unique.",
        "challenge",
    ),
    KindInfo(
        "account.api-key-keyed",
        "account",
        "hmac",
        "A known API key, as a token under the channel's fingerprint key.",
        "very-low",
        "Exact; a leaked key also has an honest owner.",
        "suspend",
        90,
    ),
    KindInfo(
        "account.api-key-prefix",
        "account",
        "plain",
        "API keys of one batch, by their first characters.",
        "medium",
        "Prefixes are short, other customers share them.",
        "alert",
    ),
    KindInfo(
        "account.org-token",
        "account",
        "hmac",
        "Accounts of one customer organisation, as a token under the channel's fingerprint key.",
        "very-low",
        "Exact; a reseller's organisation also has honest members.",
        "rate-limit",
        90,
    ),
    KindInfo(
        "account.name-shape",
        "account",
        "plain",
        "Accounts whose display names were made by one generator (U a capital, l, d).",
        "high",
        "Many honest names have the same shape.",
        "challenge",
    ),
    KindInfo(
        "account.signup-batch",
        "account",
        "aggregate",
        "A batch of sign-ups inside minutes through one verification path.",
        "medium",
        "A class or a hackathon signs up like this too.",
        "challenge",
        indicator_type="anomalous-activity",
        count_distinct="user-account:user_id",
    ),
)

_NETWORK: Final = (
    KindInfo(
        "network.ipv4",
        "network",
        "plain",
        "Requests from one IPv4 address.",
        "medium",
        "Shared egress, carrier-grade NAT, addresses that move on.",
        "rate-limit",
    ),
    KindInfo(
        "network.cidr4",
        "network",
        "plain",
        "Requests from an IPv4 prefix of at least 24 bits.",
        "high",
        "Neighbours in the prefix, unless it is one operator's hosting range.",
        "challenge",
    ),
    KindInfo(
        "network.cidr6",
        "network",
        "plain",
        "Requests from an IPv6 address, or a prefix of at least 48 bits.",
        "medium",
        "A /48 is usually one site, not always one customer.",
        "rate-limit",
    ),
    KindInfo(
        "network.asn",
        "network",
        "plain",
        "Requests from one autonomous system.",
        "very-high",
        "Thousands of honest customers: corroborates, never more.",
        "log",
    ),
    KindInfo(
        "network.domain",
        "network",
        "plain",
        "Host names of a relay or reseller that passes requests on.",
        "low",
        "A domain may be sold; its customers need not know.",
        "alert",
        90,
    ),
    KindInfo(
        "network.x509",
        "network",
        "sha256",
        "The certificate of a relay, by its SHA-256.",
        "very-low",
        "Certificates of shared front ends.",
        "alert",
        90,
    ),
    KindInfo(
        "network.ja3",
        "network",
        "plain",
        "A client's TLS hello, as JA3.",
        "very-high",
        "It names a client library, not a client.",
        "log",
    ),
    KindInfo(
        "network.ja4",
        "network",
        "plain",
        "A client's TLS hello as JA4, with the order of its HTTP headers.",
        "high",
        "JA4 alone names a library; with the header order, a program.",
        "alert",
    ),
    KindInfo(
        "network.ja4x",
        "network",
        "plain",
        "How a relay's certificates are made, as JA4X.",
        "low",
        "Low for self-signed gateway certificates, high for public authorities.",
        "alert",
        90,
    ),
    KindInfo(
        "network.user-agent",
        "network",
        "plain",
        "The User-Agent of an extraction tool or relay.",
        "high",
        "Anybody can send it, and popular tools do.",
        "alert",
    ),
    KindInfo(
        "network.gateway-egress",
        "network",
        "plain",
        "Traffic that leaves from a gateway which shares accounts among users.",
        "very-high",
        "Legitimate resellers run the same software.",
        "log",
        indicator_type="anonymization",
    ),
)

_PROMPT: Final = (
    KindInfo(
        "prompt.sha256-raw",
        "prompt",
        "sha256",
        "One prompt, byte for byte, by its SHA-256.",
        "very-low",
        "Brittle: one changed byte evades it.",
        "rate-limit",
    ),
    KindInfo(
        "prompt.sha256-norm",
        "prompt",
        "sha256",
        "One prompt after normalisation, by its SHA-256.",
        "very-low",
        "Short prompts can be guessed from the hash.",
        "rate-limit",
    ),
    KindInfo(
        "prompt.hmac-norm",
        "prompt",
        "hmac",
        "One prompt after normalisation, keyed, so that outsiders cannot guess it.",
        "very-low",
        "Exact.",
        "rate-limit",
    ),
    KindInfo(
        "prompt.literal",
        "prompt",
        "plain",
        "A phrase of an extraction prompt.",
        "high",
        "Honest prompts use common phrases.",
        "alert",
    ),
    KindInfo(
        "prompt.regex",
        "prompt",
        "plain",
        "A form of extraction prompts, as a regular expression.",
        "high",
        "Grading by a language model is legitimate.",
        "alert",
    ),
    KindInfo(
        "prompt.template",
        "prompt",
        "sha256",
        "A prompt template: numbers, quotations and addresses masked, by its SHA-256.",
        "low",
        "High for the templates of public benchmarks.",
        "rate-limit",
    ),
    KindInfo(
        "prompt.minhash-lsh",
        "prompt",
        "lsh",
        "Near duplicates of one prompt, by the bands of its MinHash.",
        "low",
        "None of 11,775 real prompts hit a campaign's template; a public template has twins.",
        "rate-limit",
        match_profile=MINHASH_PROFILE,
        min_band_hits=1,
    ),
    KindInfo(
        "prompt.simhash",
        "prompt",
        "lsh",
        "Near duplicates of one prompt, by the bands of its SimHash.",
        "medium",
        "Bands of eight bits collide; ask for several.",
        "alert",
        match_profile="sh64.8x8",
        min_band_hits=2,
    ),
    KindInfo(
        "prompt.tlsh",
        "prompt",
        "lsh",
        "One prompt of at least 50 bytes by its TLSH digest.",
        "low",
        "Equality in the pattern; matchers that can, accept distances up to 40.",
        "alert",
        match_profile="tlsh.t1.40",
    ),
    KindInfo(
        "prompt.embedding-cell",
        "prompt",
        "model",
        "Prompts about one subject, by the cells of a public embedding model.",
        "high",
        "A prior, not evidence: cells are wide.",
        "log",
        match_profile="e5-small-v2.kmeans4096.v1",
    ),
    KindInfo(
        "prompt.cot-elicitation",
        "prompt",
        "aggregate",
        "Requests for chains of thought, in bulk.",
        "medium",
        "Researchers measure reasoning as well.",
        "rate-limit",
        indicator_type="anomalous-activity",
        group_by=("account",),
    ),
    KindInfo(
        "prompt.rubric-grading",
        "prompt",
        "aggregate",
        "Requests to grade by a rubric, in bulk: reward data for a student model.",
        "high",
        "Evaluations do the same.",
        "alert",
        indicator_type="anomalous-activity",
        group_by=("account",),
    ),
)

_BEHAVIOUR: Final = (
    KindInfo(
        "behaviour.volume",
        "behaviour",
        "aggregate",
        "One organisation's requests to one family of models, far above its peers.",
        "medium",
        "Launches and migrations.",
        "rate-limit",
        indicator_type="anomalous-activity",
        group_by=("account",),
    ),
    KindInfo(
        "behaviour.concurrency",
        "behaviour",
        "aggregate",
        "Many accounts in flight at once from few sources.",
        "medium",
        "Offices behind one address.",
        "rate-limit",
        indicator_type="anomalous-activity",
    ),
    KindInfo(
        "behaviour.load-balance",
        "behaviour",
        "aggregate",
        "Many accounts with equal shares of one template's load.",
        "low",
        "People do not share work so evenly.",
        "rate-limit",
        indicator_type="anomalous-activity",
    ),
    KindInfo(
        "behaviour.sync-timing",
        "behaviour",
        "aggregate",
        "Many accounts that start and stop together.",
        "medium",
        "Scheduled jobs start on the hour.",
        "alert",
        indicator_type="anomalous-activity",
    ),
    KindInfo(
        "behaviour.shared-payment",
        "behaviour",
        "hmac",
        "Five or more accounts paid by one card or wallet.",
        "low",
        "Families, small firms, shared virtual cards.",
        "challenge",
        group_by=("account",),
        count_distinct="user-account:user_id",
    ),
    KindInfo(
        "behaviour.release-pivot",
        "behaviour",
        "aggregate",
        "Many accounts that switch to a new model within a day of its release.",
        "high",
        "Enthusiasts switch too.",
        "alert",
        indicator_type="anomalous-activity",
    ),
    KindInfo(
        "behaviour.capability-focus",
        "behaviour",
        "aggregate",
        "Templated requests for one capability in nearly all of a cluster's traffic.",
        "medium",
        "Products have one purpose as well.",
        "alert",
        indicator_type="anomalous-activity",
    ),
    KindInfo(
        "behaviour.sequence",
        "behaviour",
        "plain",
        "A known address, then requests for chains of thought.",
        "low",
        "The two need not be the same client: group by account where possible.",
        "alert",
        indicator_type="anomalous-activity",
        group_by=("account",),
    ),
)

_OUTPUT: Final = (
    KindInfo(
        "output.canary",
        "output",
        "plain",
        "A marked answer that turns up again where it should not.",
        "very-low",
        "Canaries are unique; a leaked one is not.",
        "alert",
        90,
    ),
    KindInfo(
        "output.watermark",
        "output",
        "model",
        "Text that carries a statistical watermark of the model.",
        "low",
        "Low from z = 6 on; short texts reach it by chance.",
        "alert",
        90,
    ),
)

KINDS: Final[Mapping[str, KindInfo]] = {
    info.kind: info for info in (*_ACCOUNT, *_NETWORK, *_PROMPT, *_BEHAVIOUR, *_OUTPUT)
}
"""All kinds by name, in the order of the catalogue."""
