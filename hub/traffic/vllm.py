"""vLLM's server log: request lines that show the prompt, and uvicorn's lines that show the client.

Prompts are there only with `--enable-log-requests` (in newer versions at level DEBUG). Nothing
ties a request line to an access line, so an exchange of which both are logged counts twice, once
with its prompt and once with its address. The log's times have no year, which is that of the file
(its name or date: the latest year that makes no line later than it), and no zone, which is taken
as UTC. An access line has no time at all and takes that of the last line before it that has one.
Other lines, and requests that only ask for health, metrics or the like, are skipped and counted.

Source: vLLM, `entrypoints/logger.py` and `logging_utils`; uvicorn's access log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from hub.traffic.decode import Head, Row
from hub.traffic.markup import user_turns
from hub.traffic.problems import RejectError
from hub.traffic.sequence import SequenceFormat, file_time

_PROCESS: Final = r"(?:\([^()]{1,60}\) )?"
_DATED: Final = re.compile(
    _PROCESS
    + r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) (\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) \[[^\]]+\]",
    re.ASCII,
)
_REQUEST: Final = re.compile(
    r" (?:Received request (\S{1,200}?)|Request (\S{1,200}) details): prompt: (?=['\"])"
)
_LITERAL: Final = re.compile(r"'(?:[^'\\]++|\\.)*+'|\"(?:[^\"\\]++|\\.)*+\"", re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:([\\'\"nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U(00[0-9a-f]{6}))", re.ASCII
)
_PLAIN: Final = {"n": "\n", "r": "\r", "t": "\t"}
_ACCESS: Final = re.compile(
    _PROCESS
    + r'INFO: +(\S{2,60}) - "(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) (\S+) HTTP/[\d.]+" \d',
    re.ASCII,
)
_ASKED: Final = re.compile(
    r"(?:/[\w.-]+)*/(?:completions|responses|messages|generate|generate_stream|invocations)(?:\?|$)"
)
_DAY: Final = timedelta(days=1)
_YEARS: Final = 8  # 29 February comes round in at most 8


class _Reading:
    def __init__(self, path: Path) -> None:
        self.file_times = 0
        self._latest = file_time(path) + _DAY
        self._moment: str | None = None
        self._day: tuple[str, str, str] | None = None

    def line(self, number: int, data: bytes) -> Iterable[tuple[int, Row]] | None:
        """One line of the log."""
        if not data.strip():
            raise RejectError("blank")
        try:
            text = data.decode()
        except UnicodeError as error:
            raise RejectError("not UTF-8") from error
        if dated := _DATED.match(text):
            self._moment = self._time(*dated.groups())
            return self._request(number, text, dated.end())
        if access := _ACCESS.match(text):
            return self._access(number, *access.groups())
        return None

    def end(self) -> Iterable[tuple[int, Row]]:
        """Nothing is held."""
        return ()

    def _request(self, number: int, text: str, at: int) -> Iterable[tuple[int, Row]] | None:
        found = _REQUEST.match(text, at)
        if found is None:
            return None
        literal = _LITERAL.match(text, found.end())
        if literal is None:
            raise RejectError("the prompt is cut short")
        try:
            prompt = _ESCAPE.sub(_unescaped, literal[0][1:-1])
        except ValueError as error:
            raise RejectError("the prompt is no Python text") from error
        self.file_times += 1
        return ((number, Row(self._moment, found[1] or found[2], prompt=user_turns(prompt))),)

    def _access(
        self, number: int, client: str, method: str, target: str
    ) -> Iterable[tuple[int, Row]] | None:
        if method != "POST" or not _ASKED.match(target):
            return None
        self.file_times += self._moment is not None
        return ((number, Row(self._moment, client_ip=client)),)

    def _time(self, month: str, day: str, hour: str, minute: str, second: str) -> str | None:
        """The latest such time that is not after the file, without a zone."""
        rest = f"{month}-{day}T{hour}:{minute}:{second}"
        if self._day is not None and self._day[:2] == (month, day):
            return f"{self._day[2]}-{rest}"
        for year in range(self._latest.year, self._latest.year - _YEARS - 1, -1):
            try:
                moment = datetime.fromisoformat(f"{year:04}-{rest}+00:00")
            except ValueError:
                continue
            if moment <= self._latest:
                self._day = (month, day, f"{year:04}")
                return f"{year:04}-{rest}"
        return None


def _unescaped(found: re.Match[str]) -> str:
    """What `repr` stood for; it writes no other escapes."""
    if found[1]:
        return _PLAIN.get(found[1], found[1])
    return chr(int(found[2] or found[3] or found[4], 16))


def _recognised(head: Head) -> bool:
    return any(_DATED.match(line.decode("utf-8", "replace")) for line in head.lines)


FORMAT: Final = SequenceFormat(
    name="vllm",
    title="vLLM server log",
    columns=frozenset({"observed_at", "event_id", "client_ip", "prompt"}),
    recognised=_recognised,
    begin=_Reading,
)
