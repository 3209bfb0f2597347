"""Answers of language models that are kept in a file: read, checked, replayed.

A file has one JSON object a line: ``prompt``, ``model``, ``date`` and ``answer``. A *list* also has ``interest``: its
answer names, one a line and best first, the interests that people who love that one would come to love. So a strong
model's knowledge is a file that anybody can use without the model. Ours is in ``agents/llm/data``.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.engines import Answer, Cost, Engine
from agents.llm.files import file_digest
from sim.arrays import FloatArray
from sim.errors import InvalidInput
from sim.files import write_text

OURS = Path(str(files("agents.llm") / "data" / "recorded_knowledge.jsonl"))
"""Lists of a strong model for all authored interests; its README says where they come from."""

MOST_FAULTS = 0.05
"""Largest share of the names of all lists that may be unusable (chosen); more, and plans would be poorer than they
look."""

_REVERSED, _SHARED = 0.5, 1.5  # weights of being named by, and of naming the same (chosen before any plan was made)
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_SHOWN = 60  # characters of a text in a message


@dataclass(frozen=True)
class RecordedAnswer:
    """What a model answered.

    Attributes:
        prompt: word for word, or as its file's README says.
        model, date: who answered, and when (ISO 8601).
        answer: the text.
        interest: whom a list is for; "" where the answer is no list.
    """

    prompt: str
    model: str
    date: str
    answer: str
    interest: str = ""

    def line(self) -> str:
        """As a file holds it."""
        entry = {name: value for name, value in asdict(self).items() if value or name != "interest"}
        return json.dumps(entry, ensure_ascii=False) + "\n"


def read_answers(path: Path, field: str = "llm.record") -> list[RecordedAnswer]:
    """Read a file of answers.

    Raises:
        InvalidInput: no such file, a line that is cut off or lacks something, no answer at all, or a prompt that is
            answered in two ways.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(field, str(path), f"must be a file of answers ({error})") from None
    answers = [read_line(line, f"{path}, line {number}", field) for number, line in enumerate(lines, 1)]
    if not answers:
        raise InvalidInput(field, str(path), "must hold answers; it is empty")
    seen: dict[str, str] = {}
    for each in answers:
        if seen.setdefault(each.prompt, each.answer) != each.answer:
            raise InvalidInput(field, str(path), f"must answer each prompt in one way: {each.prompt[:_SHOWN]!r}")
    return answers


def read_line(line: str, where: str, field: str = "llm.record") -> RecordedAnswer:
    """Read one line of such a file, which ``where`` names.

    Raises:
        InvalidInput: it is cut off or lacks something.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        raise InvalidInput(field, where, "must be a JSON object; the line is cut off or something else") from None
    wanted = ("prompt", "model", "date", "answer")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in wanted):
        raise InvalidInput(field, where, f"must have the texts {', '.join(wanted)}")
    interest = entry.get("interest", "")
    if not isinstance(interest, str):
        raise InvalidInput(field, where, "must have a text as interest")
    return RecordedAnswer(entry["prompt"], entry["model"], entry["date"], entry["answer"], interest)


def write_answers(path: Path, answers: Iterable[RecordedAnswer]) -> None:
    """Write a file that ``read_answers`` reads, whole or not at all."""
    write_text(path, "".join(each.line() for each in answers))


class ReplayEngine(Engine):
    """Says again what a model said: looks each prompt up in a file of answers.

    Args:
        path: of the file.
        chat: as ``Engine.chat``; of the prompts in it.

    Raises:
        InvalidInput: as ``read_answers``; from ``check`` and ``answers``: a prompt has no answer there.
    """

    def __init__(self, path: Path, chat: bool) -> None:
        super().__init__(chat)
        self._path = path
        self._said = {each.prompt: each for each in read_answers(path)}

    @property
    def description(self) -> dict[str, Any]:
        """The file by its digest."""
        return {"engine": "recorded", "record_digest": file_digest(self._path), "chat": self.chat}

    def check(self, prompts: Sequence[str]) -> None:
        """Raise ``InvalidInput`` unless every prompt has an answer."""
        missing = [prompt for prompt in prompts if prompt not in self._said]
        if missing:
            expected = (
                f"has no answer to {len(missing):,} of {len(prompts):,} prompts, the first being "
                f"{missing[0][-_SHOWN:]!r}: it is of other clusters, or of other llm.num_keywords or llm.chat"
            )
            raise InvalidInput("llm.record", str(self._path), expected)

    def _answers(self, prompts: Sequence[str], max_tokens: int) -> Iterator[Answer]:
        self.check(prompts)
        for number, prompt in enumerate(prompts):
            yield Answer(number, self._said[prompt].answer, Cost(), self._said[prompt].date)


@dataclass(frozen=True)
class InterestLists:
    """For each of n interests the others that people who love it come to love, by a language model.

    Attributes:
        names: of the interests.
        follows: (n, n) float64, R: 1 for the first that an interest's list names, falling by 1 / L a place, with L the
            length of the longest list; 0 where it does not name one.
        longest: L.
        faults: how many names were unusable, by why: ``unknown`` (no interest of the file), ``repeated``, ``itself``.
    """

    names: tuple[str, ...]
    follows: FloatArray
    longest: int
    faults: dict[str, int]

    @staticmethod
    def read(path: Path) -> "InterestLists":
        """The lists in a file; errors as of ``read_answers`` and ``of``."""
        return InterestLists.of(read_answers(path), path)

    @staticmethod
    def of(answers: Sequence[RecordedAnswer], path: Path, field: str = "llm.record") -> "InterestLists":
        """The lists of a file.

        Raises:
            InvalidInput: an answer is for no interest, an interest has two lists, or more than ``MOST_FAULTS`` of
                the names are unusable.
        """
        names = [each.interest.strip() for each in answers]
        if "" in names:
            raise InvalidInput(
                field, str(path), f"must say of every answer which interest it is for: line {names.index('') + 1}"
            )
        twice = [name for name, count in Counter(map(str.casefold, names)).items() if count > 1]
        if twice:
            raise InvalidInput(field, str(path), f"must have one list an interest: {twice[0]!r} has two")
        number = {name.casefold(): place for place, name in enumerate(names)}
        lists = [
            [_BULLET.sub("", line).strip() for line in each.answer.splitlines() if line.strip()] for each in answers
        ]
        longest = max(map(len, lists))
        if longest == 0:
            raise InvalidInput(field, str(path), "must name interests; all lists are empty")
        follows = np.zeros((len(names), len(names)))
        faults, examples = Counter(unknown=0, repeated=0, itself=0), dict[str, str]()
        for own, named in enumerate(lists):
            for place, name in enumerate(named):
                other = number.get(name.casefold())
                fault = "unknown" if other is None else "itself" if other == own else ""
                if other is not None and not fault:
                    if follows[own, other] == 0:
                        follows[own, other] = 1 - place / longest
                        continue
                    fault = "repeated"
                faults[fault] += 1
                examples.setdefault(fault, f"{name[:_SHOWN]!r} for {names[own]!r}")
        _check_faults(faults, examples, sum(map(len, lists)), path, field)
        return InterestLists(tuple(names), follows, longest, dict(faults))

    def together(self) -> FloatArray:
        """(n, n) float64: how much people who love an interest (rows) are said to come to love another.

            S = R + R' / 2 + 3/2 R R' / L

        with R = ``follows``: what its list names, whose lists name it, whose lists name the same. 0 on the diagonal.
        """
        follows = self.follows
        score = follows + _REVERSED * follows.T + _SHARED * (follows @ follows.T) / self.longest
        np.fill_diagonal(score, 0.0)
        return np.asarray(np.round(score, 9))  # so that no order hangs on how a machine adds up


def _check_faults(faults: Counter[str], examples: dict[str, str], num: int, path: Path, field: str) -> None:
    bad = sum(faults.values())
    if bad > MOST_FAULTS * num:
        said = ", ".join(f"{faults[why]:,} {why} (first: {example})" for why, example in examples.items())
        expected = f"has {bad:,} of {num:,} names that cannot be used: {said}; at most {MOST_FAULTS:.0%} may be"
        raise InvalidInput(field, str(path), expected)
