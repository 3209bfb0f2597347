"""What goes to and comes from an OpenAI-compatible endpoint, checked: address, key, answers."""

import json
import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sim.errors import InvalidInput

_PASSING = (408, 425, 429)  # statuses that may be temporary, like all from 500


class BadAnswer(Exception):
    """The response holds no completion.

    Attributes:
        problem: what came instead, printed after the endpoint's name; may quote the server.
        passing: whether it may be otherwise next time.
        retry_after: seconds that the server asks to be left alone; None = it said nothing.
        refused: whether the key was missing, wrong, or without the right.
    """

    def __init__(self, problem: str, passing: bool, retry_after: float | None = None, refused: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.passing, self.retry_after, self.refused = problem, passing, retry_after, refused


def check_url(url: str) -> str:
    """The address of an API, such as ``http://127.0.0.1:8000/v1``, without a slash at its end.

    Raises:
        InvalidInput: not an http address, or it holds credentials, which the message leaves out.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput("llm.url", "…", f"must be an address such as http://127.0.0.1:8000/v1 ({error})") from None
    place = f"[{host}]" if host and ":" in host else (host or "")
    plain = urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", parts.path.rstrip("/"), "", ""))
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput("llm.url", plain, "must hold no user, password or query; llm.key_variable is for the key")
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput("llm.url", plain, "must be an address such as http://127.0.0.1:8000/v1")
    return plain


def check_key_variable(name: str) -> None:
    """Check that a setting is the name of an environment variable (or empty), and not a key.

    Raises:
        InvalidInput: it isn't; the message leaves it out.
    """
    if name and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        expected = "must be the name of an environment variable, in capitals, that holds the key; not a key"
        raise InvalidInput("llm.key_variable", "…", expected)


def read_key(variable: str) -> str:
    """The key that an environment variable holds; "" for the variable "".

    Raises:
        InvalidInput: the variable is not set, or what it holds cannot be sent.
    """
    check_key_variable(variable)
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InvalidInput("llm.key_variable", variable, "is not set; export it, or give '' if no key is needed")
    if not re.fullmatch(r"[!-~]+", key):
        raise InvalidInput("llm.key_variable", variable, "must hold printable ASCII characters without spaces")
    return key


def retry_after(header: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def read_answer(status: int, content: bytes, chat: bool, wait: float | None) -> tuple[str, int, int]:
    """Read the answer to a request for one completion.

    Args:
        status: of HTTP.
        content: the body.
        chat: which of the two protocols.
        wait: what ``retry_after`` said.

    Returns:
        Text (may be empty), prompt tokens, completion tokens (0 where the server does not say).

    Raises:
        BadAnswer: there is no such thing in it.
    """
    if status != 200:
        passing = status in _PASSING or status >= 500
        raise BadAnswer(f"answered {status}{_quoted(content)}", passing, wait, refused=status in (401, 403))
    try:
        data = json.loads(content)
    except ValueError:
        if content.lstrip()[:1] == b"<":
            raise BadAnswer("answered with a web page: is this the API's address?", passing=False) from None
        raise BadAnswer(f"answered with broken JSON{_quoted(content)}", passing=True) from None
    if not isinstance(data, dict):
        raise BadAnswer(f"answered with JSON that is no object{_quoted(content)}", passing=False)
    if data.get("error"):
        raise BadAnswer(f"answered with an error{_quoted(content)}", passing=True, retry_after=wait)
    choices = data.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        number = len(choices) if isinstance(choices, list) else "no"
        raise BadAnswer(f"gave {number} choices where one was asked for", passing=False)
    usage = data.get("usage")
    return _text(choices[0], chat), _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")


def _text(choice: Any, chat: bool) -> str:
    where = "message.content" if chat else "text"
    try:
        text = choice["message"]["content"] if chat else choice["text"]
    except (KeyError, TypeError):
        text = ...
    if chat and text is None:  # only reasoning, no answer
        return ""
    if not isinstance(text, str):
        raise BadAnswer(f"gave a choice without {where}: is llm.chat right?", passing=False)
    return text


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _quoted(content: bytes) -> str:
    """What the server says went wrong, in brackets; nothing if that is unfit to print."""
    text = content.decode("utf-8", "replace")
    try:
        error = json.loads(text)
        error = error.get("error", error.get("detail", error))
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        if text.lstrip().startswith("<"):
            return ""
    words = " ".join(text.split())
    return f" ({words})" if words else ""
