"""Speed of filling the language model's table and of fine-tuning, compared with the library's ways."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from omegaconf import DictConfig
from tqdm import tqdm

from agents.llm.fused import FusedModel
from agents.llm.generation import generate
from agents.llm.model import compute_dtype, load_model, load_tokenizer
from agents.llm.prompt import PromptTokens, tokenise_prompts
from agents.llm.scoring import PrefixCache, label_log_probabilities
from agents.llm.trie import LabelTrie
from experiments.benchmark.rows import Row, benchmark_row
from experiments.llm.arms import check_llm
from experiments.llm.stages import find_weights
from experiments.stages.stages import check_cache_dir
from experiments.study.study import resolved
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.hidden.authored import read_interests
from sim.random import RandomStream
from sim.records import Count, checked, limits

ROUNDS = 5
"""Rounds in which the ways take turns, so that a change of the machine's speed hits all alike."""

_GENERATED = 32  # pairs a batch of plain generation; one for each of as many clusters
_SCORED = 64  # pairs a turn of the way that transformers goes
_PRODUCT_TOKENS = 4096  # rows of the products whose rate is the bound


def llm_rows(config: DictConfig) -> list[Row]:
    """Time three ways to name the next cluster of pairs, in one thread, turn by turn; then fine-tuning steps.

    The clusters are the authored interests with their keywords, as many as asked for; the weights are those of
    ``llm.model`` as they come: neither changes what a token costs. ``InvalidInput`` names an entry that is wrong.
    """
    plain = resolved(config)
    settings = check_llm(plain.get("llm"))
    steps = checked(Count, plain.get("training_steps"), "training_steps")
    clusters = authored_clusters(plain.get("interests"))
    if clusters.num_clusters < _GENERATED:
        raise InvalidInput("interests", clusters.num_clusters, f"must be at least {_GENERATED}")
    weights = find_weights(settings, check_cache_dir(plain.get("cache_dir")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        dtype = compute_dtype(settings.precision)
        prompts = tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(weights))
        ways = _Ways(load_model(weights, dtype), prompts, LabelTrie.build(prompts.label))
        spent: dict[str, list[float]] = {name: [] for name in ways.calls}
        with tqdm(total=ROUNDS * len(spent), desc="language model", unit="turn", dynamic_ncols=True) as bar:
            for turn in range(ROUNDS):
                for name, call in ways.calls.items():
                    spent[name].append(_seconds(call, turn))
                    bar.update()
    finally:
        torch.set_num_threads(threads)
    rows = ways.rows(spent, str(dtype).removeprefix("torch."))
    from experiments.benchmark.llm_training import training_rows  # the library's Trainer takes seconds to import

    return rows + training_rows(weights, clusters, settings, RandomStream(0, "benchmark"), steps)


def authored_clusters(num: Any) -> InterestClusters:
    """One cluster for each of the first ``num`` authored interests, called by its keywords.

    Raises:
        InvalidInput: fewer than 3, or more than there are.
    """
    keywords = [interest.keywords for theme in read_interests("") for interest in theme.interests]
    num = checked(Annotated[int, limits(3, len(keywords))], num, "interests")
    path = np.repeat(np.arange(num)[:, None], 4, axis=1)
    return InterestClusters(path, np.eye(num, dtype=np.float32), tuple(keywords[:num]))


@dataclass
class _Ways:
    """What is timed."""

    model: Any
    prompts: PromptTokens
    trie: LabelTrie

    def __post_init__(self) -> None:
        self.fused = FusedModel(self.model, self.prompts.longest)
        self.calls: dict[str, Callable[[int], Any]] = {
            "plain generation": self._generated,
            "labels at once, by transformers": self._scored,
            "bulk inference": self._filled,
            "products": self._multiplied,
        }
        widest = self.fused.layers[0].gate_up
        self._input = torch.ones(_PRODUCT_TOKENS, widest.shape[1], dtype=widest.dtype)

    def _generated(self, turn: int) -> None:
        contexts = [self.prompts.prompt(turn, second) for second in range(_GENERATED)]
        generate(self.model, contexts, max(map(len, self.prompts.label)), (self.prompts.end,))

    def _scored(self, turn: int) -> None:
        prefix = PrefixCache.of(self.model, self.prompts.prefix[turn])
        label_log_probabilities(self.model, self.prompts.suffix[:_SCORED], self.trie, prefix)

    def _filled(self, turn: int) -> None:
        past = self.fused.past(self.prompts.prefix[turn])
        for start in range(0, len(self.prompts), 128):
            self.fused.label_log_probabilities(self.prompts.suffix[start : start + 128], self.trie, past)

    @torch.inference_mode()
    def _multiplied(self, turn: int) -> None:
        layer = self.fused.layers[turn % len(self.fused.layers)]
        for _ in range(8):
            torch.nn.functional.linear(self._input, layer.gate_up)

    def rows(self, spent: dict[str, list[float]], dtype: str) -> list[Row]:
        """Rows of benchmark.json; rates of one thread."""
        num = len(self.prompts)
        rate = 8 * 2 * _PRODUCT_TOKENS * self.fused.layers[0].gate_up.numel() / statistics.median(spent["products"])
        tokens = statistics.fmean(map(len, self.prompts.suffix))
        bound = rate / (tokens * operations_per_token(self.fused))
        pairs = {
            "plain generation": _GENERATED,
            "labels at once, by transformers": min(_SCORED, num),
            "bulk inference": num,
        }
        speed = {name: [done / seconds for seconds in spent[name]] for name, done in pairs.items()}
        rows = [benchmark_row("llm", f"{dtype} products of a layer", [rate / 1e9], "GFLOP/s")]
        rows.append(benchmark_row("llm", "tokens a pair", [tokens + len(self.trie.tokens)], "tokens"))
        for name, values in speed.items():
            row = benchmark_row("llm", f"{name} ({dtype})", values, "pairs/s")
            row |= {"bound": bound, "of_bound": row["value"] / bound}
            if name != "plain generation":
                against = statistics.median(speed["plain generation"])
                row |= {"against": "plain generation", "ratio": row["value"] / against}
            rows.append(row)
        hours = num**2 / statistics.median(speed["bulk inference"]) / 3600
        rows.append(benchmark_row("llm", f"a table of {num**2:,} pairs, one thread (from the above)", [hours], "hours"))
        return rows


def operations_per_token(model: FusedModel) -> float:
    """Multiplications and additions of the products that a token takes: twice the layers' weights."""
    return 2.0 * sum(w.numel() for layer in model.layers for w in (layer.qkv, layer.out, layer.gate_up, layer.down))


def _seconds(call: Callable[[int], Any], turn: int) -> float:
    if turn == 0:
        call(0)  # compiles, and fills caches
    begun = time.perf_counter()
    call(turn)
    return time.perf_counter() - begun
