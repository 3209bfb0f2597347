"""The prompt: one template, in one place (after Wang et al. 2024, figure 2).

A sentence that a small model can simply finish (docs/knowledge.md has results and costs of other wordings):

    People who enjoy {C1} and {C2} also enjoy {CL}<end>

where a cluster is its first keywords. What follows C2 is computed anew for every pair, and is two tokens
long. The pieces are tokenised apart and joined, in training and inference alike, so that the tokens
up to C1 never depend on C2 and their key-value cache can be shared exactly.

Models that are only available through a chat get an instruction with the list of all interests: they
were not fine-tuned on them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sim.arrays import IntArray
from sim.clusters import InterestClusters
from sim.errors import InvalidInput

PREFIX = "People who enjoy {cluster} and"
SUFFIX = " {cluster} also enjoy"
LABEL = " {cluster}"
ONLY = "People who enjoy {cluster} also enjoy"
MIDDLE = " {cluster} and"
HINTED = " {cluster} and lately"
INSTRUCTION = (
    "Here are interests, one a line:\n{interests}\n\n"
    "A user enjoys {first} and {second}. Name the one that should be recommended next, which must be neither. "
    "Answer with that line of the list alone, word for word."
)
LIST_INSTRUCTION = (
    "Here are interests, one a line:\n{interests}\n\n"
    "Think of the kinds of people who love {interest}. Which {num} other interests of the list would such people most "
    "likely come to love, mostly beyond its own topic? Answer with {num} lines of the list, word for word, best first."
)

Tokens = tuple[int, ...]

_LAST_RESORT = 1e4  # ranks: a first token that other labels have too, and one that is another cluster's
_NEVER = 1e8


@dataclass(frozen=True)
class PromptTokens:
    """The template filled in for M level-2 clusters, in tokens.

    A prompt for (C1, C2) is ``prefix[C1] + suffix[C2]``; its completion is ``label[CL]``.

    Attributes:
        text: M texts, what each cluster is called; unique.
        prefix: instruction and first cluster.
        suffix: second cluster and cue.
        label: the answer and the end-of-text token, which keeps labels from being prefixes of others.
        end: the end-of-text token.
        only: a whole prompt with one past cluster.
        middle: a past cluster that is neither the first (``prefix``) nor the last (``suffix``).
        hinted: the second of a pair whose hint, as a ``suffix``, follows.
    """

    text: tuple[str, ...]
    prefix: tuple[Tokens, ...]
    suffix: tuple[Tokens, ...]
    label: tuple[Tokens, ...]
    end: int
    only: tuple[Tokens, ...]
    middle: tuple[Tokens, ...]
    hinted: tuple[Tokens, ...]

    def __len__(self) -> int:
        return len(self.text)

    def prompt(self, first: int, second: int) -> Tokens:
        """The tokens of the prompt for an ordered pair of clusters."""
        return self.prefix[first] + self.suffix[second]

    def prompts(self, first: IntArray, second: IntArray) -> list[Tokens]:
        """The tokens of the prompts for ordered pairs (n,)."""
        return [self.prompt(c1, c2) for c1, c2 in zip(first.tolist(), second.tolist(), strict=True)]

    @property
    def longest(self) -> int:
        """Most tokens that a pair's prompt and a label have together."""
        return sum(max(map(len, part)) for part in (self.prefix, self.suffix, self.label))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all tokens of pairs' prompts."""
        return hashlib.sha256(json.dumps([self.prefix, self.suffix, self.label]).encode()).hexdigest()


def cluster_texts(
    clusters: InterestClusters, num_keywords: int, leading: Sequence[int] | None = None
) -> tuple[str, ...]:
    """Name each cluster by its first ``num_keywords`` keywords, more where two would be equal.

    Args:
        clusters: M level-2 clusters with keywords.
        num_keywords: keywords a cluster.
        leading: which of its keywords comes first, M numbers; the first one if not given.

    Raises:
        InvalidInput: a keyword is blank, longer than a line, or has white space at its ends: a
            generated text could never be matched with it.
    """
    for cluster, words in enumerate(clusters.keywords):
        for word in words:
            if word.strip() != word or len(word.splitlines()) != 1:
                expected = f"must be one line without white space around it (cluster {cluster})"
                raise InvalidInput("clusters.keywords", word, expected)
    first = leading or [0] * len(clusters.keywords)
    keywords = [(words[i], *words[:i], *words[i + 1 :]) for words, i in zip(clusters.keywords, first, strict=True)]
    lengths = [min(num_keywords, len(words)) for words in keywords]
    while True:
        texts = [", ".join(words[:n]) for words, n in zip(keywords, lengths, strict=True)]
        twins = [c for c, text in enumerate(texts) if texts.count(text) > 1]
        if not twins:
            return tuple(texts)
        # Whole keyword tuples are unique, so some twin always has another keyword to give.
        for cluster in twins:
            lengths[cluster] = min(lengths[cluster] + 1, len(keywords[cluster]))


def leading_keywords(clusters: InterestClusters, tokenizer: Any) -> tuple[int, ...]:
    """Which keyword each cluster's name should begin with, so that labels differ in their first token.

    Where they do, a label's probability is that of its first token, and one forward pass over the
    prompt alone scores them all: each token that labels share would have to be run too, for every
    pair. An assignment of first tokens to clusters that differ, of least sum of keyword ranks
    (``scipy.optimize.linear_sum_assignment``); a cluster for which none is left keeps its first keyword.

    Returns:
        M numbers of keywords, mostly 0.
    """
    tokens = [
        [_after(SUFFIX[-1], LABEL.format(cluster=word), tokenizer)[0] for word in words] for words in clusters.keywords
    ]
    num, column = len(tokens), {token: i for i, token in enumerate(sorted({t for row in tokens for t in row}))}
    rank = np.full((num, len(column) + num), _NEVER)
    np.fill_diagonal(rank[:, len(column) :], _LAST_RESORT)
    for cluster, row in enumerate(tokens):
        for place, token in reversed(list(enumerate(row))):  # the foremost of keywords that begin alike
            rank[cluster, column[token]] = place
    clusters_, chosen = linear_sum_assignment(rank)
    places = rank[clusters_, chosen]
    return tuple(int(place) if place < _LAST_RESORT else 0 for place in places)


def strict_match(generated: str, number: Mapping[str, int]) -> int:
    """The cluster whose text a whole generated text is, but for white space around it; -1 if none.

    Args:
        generated: as the model gave it, all of its lines.
        number: of each cluster, by its text.
    """
    return number.get(generated.strip(), -1)


def prompt_text(texts: Sequence[str], first: int, second: int, chat: bool) -> str:
    """The prompt for an ordered pair of clusters, as text.

    Args:
        texts: what the M clusters are called.
        first, second: two of them.
        chat: as a user's message that lists all interests, rather than a text to go on from.
    """
    if chat:
        return INSTRUCTION.format(interests="\n".join(texts), first=texts[first], second=texts[second])
    return PREFIX.format(cluster=texts[first]) + SUFFIX.format(cluster=texts[second])


def list_prompt(texts: Sequence[str], interest: int, num: int) -> str:
    """A message that asks for the ``num`` interests that go best with one of the M that are called ``texts``."""
    return LIST_INSTRUCTION.format(interests="\n".join(texts), interest=texts[interest], num=num)


def tokenise_prompts(clusters: InterestClusters, num_keywords: int, tokenizer: Any) -> PromptTokens:
    """Fill in the template for every cluster.

    Args:
        clusters: M level-2 clusters with keywords.
        num_keywords: keywords a cluster.
        tokenizer: of the model (transformers).

    Raises:
        InvalidInput: the tokenizer has no end-of-text token, or finds it in a cluster's text, or
            maps two clusters to the same tokens; or as ``cluster_texts``.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise InvalidInput("llm.model", tokenizer.name_or_path, "its tokenizer must have an end-of-text token")
    texts = cluster_texts(clusters, num_keywords, leading_keywords(clusters, tokenizer))
    start = _start_tokens(tokenizer)
    prompts = PromptTokens(
        text=texts,
        prefix=tuple(start + _after("", PREFIX.format(cluster=t), tokenizer) for t in texts),
        suffix=tuple(_after(PREFIX[-1], SUFFIX.format(cluster=t), tokenizer) for t in texts),
        label=tuple((*_after(SUFFIX[-1], LABEL.format(cluster=t), tokenizer), end) for t in texts),
        end=end,
        only=tuple(start + _after("", ONLY.format(cluster=t), tokenizer) for t in texts),
        middle=tuple(_after(PREFIX[-1], MIDDLE.format(cluster=t), tokenizer) for t in texts),
        hinted=tuple(_after(PREFIX[-1], HINTED.format(cluster=t), tokenizer) for t in texts),
    )
    _check_labels(prompts, tokenizer)
    return prompts


def _after(before: str, text: str, tokenizer: Any) -> Tokens:
    """The tokens of a text in the place where it stands, after ``before``.

    Tokenizers of the SentencePiece kind (Llama, Gemma) treat the beginning of what they are given
    as the beginning of a word, which a text that goes on from another must not get.
    """
    alone = tuple(tokenizer(before, add_special_tokens=False).input_ids) if before else ()
    together = tuple(tokenizer(before + text, add_special_tokens=False).input_ids)
    if together[: len(alone)] == alone:
        return together[len(alone) :]
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)  # a token spans the two


def _start_tokens(tokenizer: Any) -> Tokens:
    """What the model expects before any text: (begin-of-text,) or nothing."""
    with_special = tokenizer("a").input_ids
    return (tokenizer.bos_token_id,) if with_special[0] == tokenizer.bos_token_id else ()


def _check_labels(prompts: PromptTokens, tokenizer: Any) -> None:
    """Check that every label is tokens of its own, up to the end-of-text token and no further."""
    seen: dict[Tokens, str] = {}
    for text, label in zip(prompts.text, prompts.label, strict=True):
        if prompts.end in label[:-1]:
            raise InvalidInput("clusters.keywords", text, "must not contain the tokenizer's end-of-text token")
        if label in seen:
            expected = f"its tokenizer must tell {seen[label]!r} from {text!r}: it makes the same tokens of both"
            raise InvalidInput("llm.model", tokenizer.name_or_path, expected)
        seen[label] = text


def template(past_clusters: int, successor_hint: bool = False) -> str:
    """The prompt and its completion, with {C1} .. {CK} for the past clusters, {H} for the hint, {CL} for the label."""
    if past_clusters == 1:
        prompt = ONLY.format(cluster="{C1}")
    else:
        between = [MIDDLE.format(cluster=f"{{C{k}}}") for k in range(2, past_clusters)]
        last, end = (HINTED, "{H}") if successor_hint else (SUFFIX, None)
        prompt = PREFIX.format(cluster="{C1}") + "".join(between) + last.format(cluster=f"{{C{past_clusters}}}")
        prompt += SUFFIX.format(cluster=end) if end else ""
    return prompt + LABEL.format(cluster="{CL}") + "<end>"
