"""An engine behind an endpoint that speaks the OpenAI protocol: ``/completions`` or ``/chat/completions``.

Endpoints fail in many ways, most of them for a while only; a table may take days and cost money. So
what may pass is tried again, other failures are reported in one line, and no finished answer is lost.
"""

import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import httpx2

from agents.llm.endpoint import BadAnswer, check_url, read_answer, read_key, retry_after
from agents.llm.engines import Answer, Cost, Engine
from agents.llm.pace import Pace, Stopped
from sim.errors import InvalidInput

_FIRST_DELAY = 1.0  # seconds before the first retry; each later one waits twice as long
_LONGEST_DELAY = 60.0  # seconds, of our own accord
_MAX_RETRY_AFTER = 600.0  # seconds: a server that asks for more (a spent quota, say) had better be asked later
_MAX_BYTES = 1 << 20  # an answer of a few words is never as long
_LONGEST_PROBLEM = 300  # characters
_SECRET_LENGTH = 8  # characters; shorter keys, such as EMPTY, are fillers for servers that need none
_MAX_EMPTY_ANSWERS = 20  # first answers that, if all of them are empty, show that something is wrong


class HttpEngine(Engine):
    """Greedy completions (temperature 0) from an OpenAI-compatible endpoint, several requests in flight.

    Tried again, with delays of 1, 2, 4, ... 60 s or what Retry-After asks for: status 408, 425, 429
    and 5xx, time-outs, connections refused or cut, truncated JSON, error objects; an empty text
    once. Anything else won't go away, and ends the run.

    Args:
        url: of the API, up to and with its version, such as ``http://127.0.0.1:8000/v1``; without
            credentials.
        model: its name there.
        chat: ``/chat/completions`` rather than ``/completions``.
        key_variable: name of the environment variable that holds the key; "" = none is sent.
        timeout: seconds for one request, from connecting to the answer's last byte.
        retries: most repetitions of one request.
        requests_per_minute: most requests begun a minute; 0 = no limit.
        requests_in_flight: most requests under way at once.

    Raises:
        InvalidInput: the url is none or holds credentials; the environment variable is not set or holds no key.
    """

    def __init__(
        self,
        url: str,
        model: str,
        chat: bool,
        key_variable: str,
        timeout: float,
        retries: int,
        requests_per_minute: int,
        requests_in_flight: int,
    ) -> None:
        super().__init__(chat)
        self._url = check_url(url)
        self._endpoint = self._url + ("/chat/completions" if chat else "/completions")
        self._model, self._timeout, self._retries, self._in_flight = model, timeout, retries, requests_in_flight
        self._key, self._key_variable = read_key(key_variable), key_variable
        self._pace = Pace(requests_per_minute)
        self._empty_answers: int | None = 0  # empty answers before the first other one, None from then on

    @property
    def description(self) -> dict[str, Any]:
        """Address, model, and which protocol."""
        return {"engine": "http", "url": self._url, "model": self._model, "chat": self.chat}

    def _answers(self, prompts: Sequence[str], max_tokens: int) -> Iterator[Answer]:
        stop = threading.Event()
        numbered = enumerate(prompts)
        running: set[Future[Answer]] = set()
        failure: Exception | None = None
        with self._open_client() as client, ThreadPoolExecutor(self._in_flight) as pool:
            try:
                while True:
                    while len(running) < self._in_flight and failure is None:
                        if (task := next(numbered, None)) is None:
                            break
                        running.add(pool.submit(self._answer, client, *task, max_tokens, stop))
                    if not running:
                        break
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        try:
                            answer = future.result()
                            self._check_not_all_empty(answer.text)
                        except (InvalidInput, Stopped) as error:
                            # The others in flight are waited for: their answers are paid for.
                            failure = failure or error
                            stop.set()
                        else:
                            yield answer
            finally:
                stop.set()
        if failure is not None:
            raise failure

    def _open_client(self) -> httpx2.Client:
        return httpx2.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=self._timeout,
            limits=httpx2.Limits(max_connections=self._in_flight),
        )

    def _answer(
        self, client: httpx2.Client, number: int, prompt: str, max_tokens: int, stop: threading.Event
    ) -> Answer:
        """One prompt's answer, however many requests it takes."""
        requests, asked_again = 0, False
        delay = _FIRST_DELAY
        while True:
            self._pace.wait(stop)
            requests += 1
            try:
                text, prompt_tokens, completion_tokens = self._request(client, prompt, max_tokens)
            except BadAnswer as bad:
                asked = bad.retry_after or 0.0
                if not bad.passing or requests > self._retries or asked > _MAX_RETRY_AFTER:
                    raise self._as_invalid_input(bad, requests) from None
                if asked:
                    self._pace.pause(asked)  # the server means all of us
                elif stop.wait(delay):
                    raise Stopped from None
                delay = min(2 * delay, _LONGEST_DELAY)
                continue
            if not text.strip() and not asked_again and requests <= self._retries:
                asked_again = True
                continue
            if len(self._key) >= _SECRET_LENGTH:  # the server may repeat it, and answers are kept in files
                text = text.replace(self._key, "***")
            return Answer(number, text, Cost(prompt_tokens, completion_tokens, requests, requests - 1))

    def _request(self, client: httpx2.Client, prompt: str, max_tokens: int) -> tuple[str, int, int]:
        """One request: text, prompt tokens, completion tokens.

        Raises:
            BadAnswer: the response holds none.
        """
        said = {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        body = {"model": self._model, **said, "max_tokens": max_tokens, "temperature": 0}
        deadline = time.monotonic() + self._timeout
        try:
            with client.stream("POST", self._endpoint, json=body) as response:
                content = self._read(response, deadline)
        except httpx2.TimeoutException:
            raise BadAnswer(f"has not answered within {self._timeout:g} s", passing=True) from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            passing = not isinstance(error, (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError))
            raise BadAnswer(f"cannot be reached or broke off ({error})", passing) from None
        return read_answer(response.status_code, content, self.chat, retry_after(response.headers.get("Retry-After")))

    def _read(self, response: httpx2.Response, deadline: float) -> bytes:
        """The answer's bytes. The client's time-out is for each read: a slow trickle would outlast it."""
        content = bytearray()
        for block in response.iter_bytes():
            content += block
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("too slow")
            if len(content) > _MAX_BYTES:
                raise BadAnswer(f"sent more than {_MAX_BYTES:,} bytes", passing=False)
        return bytes(content)

    def _check_not_all_empty(self, text: str) -> None:
        """Stop if the first answers are all empty.

        Raises:
            InvalidInput: the first answers were all empty.
        """
        if self._empty_answers is None:
            return
        self._empty_answers = None if text.strip() else self._empty_answers + 1
        if self._empty_answers == _MAX_EMPTY_ANSWERS:
            advice = "llm.chat must be as the model needs it, and models that think aloud must have that switched off"
            raise InvalidInput(
                "llm.url", self._endpoint, f"gave {_MAX_EMPTY_ANSWERS} empty texts and no other: {advice}"
            )

    def _as_invalid_input(self, bad: BadAnswer, requests: int) -> InvalidInput:
        """The error for the user; never holds the key, even if the server repeated it."""
        problem = bad.problem.replace(self._key, "***") if self._key else bad.problem
        problem = textwrap.shorten(problem, _LONGEST_PROBLEM, placeholder=" …")
        if requests > 1:
            problem += f"; tried {requests} times"
        if bad.retry_after and bad.retry_after > _MAX_RETRY_AFTER:
            problem += f"; it asks to be left alone for {bad.retry_after:.0f} s"
        if bad.refused and self._key:
            problem += f"; the key sent is that of the environment variable {self._key_variable}"
        elif bad.refused:
            problem += "; no key was sent: llm.key_variable names the environment variable that holds one"
        return InvalidInput("llm.url", self._endpoint, problem)
