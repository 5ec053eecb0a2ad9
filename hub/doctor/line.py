"""One client's conversation with a server, as that client would hold it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

from hub.doctor.findings import Finding, GivesUpError, OutOfRequestsError, Severity
from hub.doctor.profile import TAXII_21, Auth, Client
from hub.doctor.shown import Shown
from hub.doctor.wire import Answer, Ask, Request, UnansweredError
from hub.errors import InputError
from hub.model.codec import Json, loads
from hub.taxii.media import is_taxii_content

_MAX_HOPS: Final = 5
_MAX_BODY: Final = 64 * 1024 * 1024
_BUSY: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Credential:
    """What the operator gave.

    Args:
        user: account name.
        secret: password or token.
        token: whether the secret was given as a token.
        header: name of a header that carries the secret alone.
    """

    user: str | None = None
    secret: str | None = field(default=None, repr=False)
    token: bool = False
    header: str | None = None

    @property
    def forms(self) -> tuple[Auth, ...]:
        """The forms that it can take, the one that was meant first."""
        if self.secret is None:
            return ()
        if self.header:
            return (Auth.HEADER,)
        named = (Auth.BASIC, Auth.LOWER_BASIC) if self.user is not None else ()
        bare = (Auth.BEARER, Auth.TOKEN)
        return (*bare, *named) if self.token else named or bare

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return () if self.secret is None else (self.secret, f"{self.user or ''}:{self.secret}")

    def headers(self, form: Auth) -> dict[str, str]:
        """The headers that carry it in a form."""
        secret = self.secret or ""
        if form is Auth.HEADER:
            return {self.header or "X-API-Key": secret}
        if form in (Auth.BASIC, Auth.LOWER_BASIC):
            pair = f"{self.user or ''}:{secret}".encode()
            return {"Authorization": f"{form.value} {base64.b64encode(pair).decode('ascii')}"}
        return {"Authorization": f"{form.value} {secret}"}


@dataclass
class Budget:
    """How many requests may still be sent, and how long each may take."""

    requests: int
    timeout_s: float = 30.0
    sent: int = 0

    def spend(self) -> None:
        """One request.

        Raises:
            OutOfRequestsError: none is left.
        """
        if self.sent >= self.requests:
            raise OutOfRequestsError
        self.sent += 1


class Line:
    """Sends what a client sends, and judges each answer as the client does.

    Args:
        who: whose findings these are.
        findings: where notes go; what ends the client is raised.
    """

    def __init__(
        self,
        ask: Ask,
        client: Client,
        who: str,
        credential: Credential,
        budget: Budget,
    ) -> None:
        self.client = client
        self.who = who
        self.findings: list[Finding] = []
        self.last = ""
        self._ask = ask
        self._budget = budget
        self._credential = credential
        self.shown = Shown(credential.secrets)

    def note(self, code: str, severity: Severity, *evidence: str) -> None:
        """Keep a finding; once for each code and severity."""
        if not any(each.code == code and each.severity == severity for each in self.findings):
            self.findings.append(self._finding(code, severity, evidence))

    def ended(self, code: str, *evidence: str) -> GivesUpError:
        """What to raise when the client cannot go on."""
        return GivesUpError(self._finding(code, Severity.FAILS, evidence))

    def json(self, url: str, params: Mapping[str, str] | None = None) -> tuple[Json, Answer]:
        """GET a TAXII resource.

        Raises:
            GivesUpError: the client cannot use the answer.
            OutOfRequestsError: the budget is spent.
        """
        answer = self.get(url, params)
        return self.read(answer), answer

    def read(self, answer: Answer) -> Json:
        """The body as a JSON object."""
        try:
            return loads(answer.body, max_bytes=_MAX_BODY)
        except InputError as error:
            raise self.ended("unreadable", self.last, self.shown.text(error.message)) from error

    def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """GET as the client does; only a good answer of the right media type comes back."""
        whole = f"{url}?{urlencode(params)}" if params else url
        answer = self.send("GET", whole)
        if answer.status not in (200, 206):
            raise self.refusal(answer)
        self._check_media(answer)
        return answer

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, redirects followed as the client follows them; any status comes back.

        Args:
            headers: what a library sends by itself, in place of the profile's; the credential is
                added.
        """
        origin = url
        for _ in range(_MAX_HOPS):
            answer = self._once(method, url, body, headers)
            location = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or location is None:
                return answer
            if not self.client.follows_redirects or method != "GET":
                raise self.ended("redirect", self.last)
            url = urljoin(url, location)
            if not same_host(origin, url):
                raise self.ended(
                    "redirect-elsewhere", self.last, f"Location: {self.shown.text(location)}"
                )
            self.note("redirect", Severity.WORKS, self.last)
        raise self.ended("redirect-loop", self.last)

    def refusal(self, answer: Answer) -> GivesUpError:
        """Say what a status of refusal means to the client."""
        if answer.status in (401, 403):
            return self.ended("auth-refused", self.last, f"sent: {self._form_text()}")
        if answer.status == 406:
            return self.ended("not-acceptable", self.last, f"Accept: {self.client.accept}")
        if answer.status in _BUSY:
            return self.ended("rate-limited", self.last)
        return self.ended("not-found" if answer.status == 404 else "bad-status", self.last)

    def _once(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Answer:
        self._budget.spend()
        deadline = self._budget.timeout_s
        if self.client.timeout_s is not None:
            deadline = min(deadline, self.client.timeout_s)
        if headers is None:
            headers = self._headers(posts=body is not None)
        request = Request(
            method=method,
            url=url,
            headers=self._let_in(headers),
            body=body,
            timeout_s=deadline,
        )
        line = f"{method} {self.shown.target(request.target)}"
        try:
            answer = self._ask(request)
        except UnansweredError as error:
            raise self.ended(error.trouble.value, line, self.shown.text(error.message)) from error
        said = self.shown.text(answer.headers.get("content-type", "no Content-Type"), 60)
        self.last = f"{line} -> {answer.status}, {said}"
        if answer.seconds > deadline:
            raise self.ended(
                "timeout", self.last, f"{answer.seconds:.1f} s, it waits {deadline:g} s"
            )
        return answer

    def _headers(self, *, posts: bool) -> dict[str, str]:
        headers = {
            "Accept": self.client.accept,
            "User-Agent": self.client.user_agent,
            "Accept-Encoding": "gzip, deflate",
        }
        if posts or self.client.sends_content_type:
            headers["Content-Type"] = TAXII_21
        return headers

    def _let_in(self, headers: Mapping[str, str]) -> dict[str, str]:
        form = self.form
        shown = {} if form is None else self._credential.headers(form)
        return {**headers, **shown}

    @property
    def form(self) -> Auth | None:
        """How the credential is sent; None sends none."""
        if self._credential.secret is None:
            return None
        given = [one for one in self._credential.forms if one in self.client.auth]
        if not given:
            has = ", ".join(one.value for one in self.client.auth)
            raise self.ended("auth-form", f"it sends: {has}")
        if self.client.splits_secret and ":" in self._credential.secret:
            raise self.ended("secret-colon")
        return given[0]

    def _form_text(self) -> str:
        form = self.form
        if form is None:
            return "no credential"
        if form is Auth.HEADER:
            return self.shown.text(f"{self._credential.header}: ...")
        return f"Authorization: {form.value} ..."

    def _check_media(self, answer: Answer) -> None:
        content_type = answer.headers.get("content-type")
        if self.client.strict_content_type and not _as_taxii2_client(content_type):
            raise self.ended("content-type", self.last)
        if not is_taxii_content(content_type):
            self.note("content-type", Severity.WORKS, self.last)

    def _finding(self, code: str, severity: Severity, evidence: tuple[str, ...]) -> Finding:
        return Finding(code, severity, self.who, tuple(each for each in evidence if each))


def same_host(one: str, other: str) -> bool:
    """Whether a credential meant for one address may go to the other."""
    left, right = urlsplit(one), urlsplit(other)
    return left.netloc == right.netloc and right.scheme in (left.scheme, "https")


def _as_taxii2_client(content_type: str | None) -> bool:
    """taxii2-client's own comparison: tokens, in this case and unquoted."""
    tokens = (content_type or "").replace(" ", "").split(";")
    return tokens[0] == "application/taxii+json" and "version=2.1" in tokens
