"""The prompt: one template, in one place (after Wang et al. 2024, figure 2).

A terse text that a small model can simply continue:

    A user enjoys: {C1}; {C2}.
    New interest: {CL}<end>

where a cluster is its first keywords. The pieces are tokenised apart and joined, in training and
inference alike, so that the tokens of instruction + C1 never depend on C2 and their key-value
cache can be shared exactly.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sim.clusters import InterestClusters
from sim.errors import InvalidInput

PREFIX = "A user enjoys: {cluster};"
SUFFIX = " {cluster}.\nNew interest:"
LABEL = " {cluster}"

Tokens = tuple[int, ...]


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
    """

    text: tuple[str, ...]
    prefix: tuple[Tokens, ...]
    suffix: tuple[Tokens, ...]
    label: tuple[Tokens, ...]
    end: int

    def __len__(self) -> int:
        return len(self.text)

    def prompt(self, first: int, second: int) -> Tokens:
        """The tokens of the prompt for an ordered pair of clusters."""
        return self.prefix[first] + self.suffix[second]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all tokens."""
        return hashlib.sha256(json.dumps([self.prefix, self.suffix, self.label]).encode()).hexdigest()


def cluster_texts(clusters: InterestClusters, num_keywords: int) -> tuple[str, ...]:
    """Name each cluster by its first ``num_keywords`` keywords, more where needed to tell two apart."""
    lengths = [min(num_keywords, len(words)) for words in clusters.keywords]
    while True:
        texts = [", ".join(words[:n]) for words, n in zip(clusters.keywords, lengths, strict=True)]
        twins = [c for c, text in enumerate(texts) if texts.count(text) > 1]
        if not twins:
            return tuple(texts)
        # Whole keyword tuples are unique, so some twin always has another keyword to give.
        for cluster in twins:
            lengths[cluster] = min(lengths[cluster] + 1, len(clusters.keywords[cluster]))


def tokenise_prompts(clusters: InterestClusters, num_keywords: int, tokenizer: Any) -> PromptTokens:
    """Fill in the template for every cluster.

    Args:
        clusters: M level-2 clusters with keywords.
        num_keywords: keywords a cluster.
        tokenizer: of the model (transformers).

    Raises:
        InvalidInput: the tokenizer has no end-of-text token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise InvalidInput("llm.model", tokenizer.name_or_path, "its tokenizer must have an end-of-text token")
    texts = cluster_texts(clusters, num_keywords)
    start = _start_tokens(tokenizer)
    return PromptTokens(
        text=texts,
        prefix=_tokens(tokenizer, [PREFIX.format(cluster=t) for t in texts], before=start),
        suffix=_tokens(tokenizer, [SUFFIX.format(cluster=t) for t in texts]),
        label=_tokens(tokenizer, [LABEL.format(cluster=t) for t in texts], after=(end,)),
        end=end,
    )


def _tokens(tokenizer: Any, texts: Sequence[str], before: Tokens = (), after: Tokens = ()) -> tuple[Tokens, ...]:
    ids = tokenizer(list(texts), add_special_tokens=False).input_ids
    return tuple(before + tuple(row) + after for row in ids)


def _start_tokens(tokenizer: Any) -> Tokens:
    """What the model expects before any text: (begin-of-text,) or nothing."""
    with_special = tokenizer("a").input_ids
    return (tokenizer.bos_token_id,) if with_special[0] == tokenizer.bos_token_id else ()
