"""The table by free generation: an engine completes every ordered pair's prompt, and the completions are matched.

As the paper does it: the fine-tuned model generates, and texts that are exactly a cluster's are kept.
Each first cluster's pairs are a shard, a file of answers that grows line by line, so that neither a
killed run nor a server that dies loses any.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from agents.llm.engines import Answer, Cost, Engine
from agents.llm.prompt import cluster_texts, prompt_text, strict_match, template
from agents.llm.recorded import RecordedAnswer, write_answers
from agents.llm.table import TransitionTable, about_table, check_num_clusters
from agents.llm.triples import finished_table
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_text

_SPARE_TOKENS = 8  # for what tokenizers put before the first word
_MIN_ANSWERS = 500  # the run stops if none of so many first answers names an interest
_EXAMPLES = 10  # unmatched texts that the manifest lists
_EXAMPLE_LENGTH = 80  # characters


def generate_table(
    engine: Engine, clusters: InterestClusters, num_keywords: int, folder: Path, record: Path | None = None
) -> TransitionTable:
    """Fill the table with what an engine says for all M^2 ordered pairs, or go on with it.

    A text that is a cluster's and nothing else (``strict_match``) and not one of the pair's own two is the
    pair's only entry; otherwise the pair has none, -1. Log-probabilities are not known: nan.

    Args:
        engine: what completes the prompts.
        clusters: M of them.
        num_keywords: keywords a cluster.
        folder: of the table; an existing one is opened, not overwritten. Answers are kept next to
            it until it is whole.
        record: file that the answers are kept in for good, see ``agents.llm.recorded``; None = they are not.

    Raises:
        InvalidInput: fewer than 3 clusters; the folder holds a damaged table or one of other
            inputs; the engine cannot go on (what it said is kept: run again), or it never names an interest.
    """
    num = clusters.num_clusters
    check_num_clusters(num)
    texts = cluster_texts(clusters, num_keywords)
    inputs = {
        "engine": engine.description,
        "prompts_digest": hashlib.sha256(prompt_text(texts, 0, 1, chat=True).encode()).hexdigest(),
        "clusters_digest": clusters.digest,
    }
    table: TransitionTable | None = finished_table(folder, inputs, top_n=1)
    if table is not None:
        return table
    name = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    answers = folder.with_name(f"{folder.name}.answers-{name}")
    answers.mkdir(parents=True, exist_ok=True)
    shards = [_Shard(answers, first, num) for first in range(num)]
    _ask_all(engine, texts, shards)
    if record is not None:
        write_answers(record, _recorded(engine, texts, shards))
    _assemble(folder, shards, texts, inputs)
    shutil.rmtree(answers)
    return TransitionTable.open(folder)


def _recorded(engine: Engine, texts: tuple[str, ...], shards: list["_Shard"]) -> Iterator[RecordedAnswer]:
    """All answers, by pair."""
    for shard in shards:
        for second, answer in sorted(shard.read().items()):
            prompt = prompt_text(texts, shard.first, second, engine.chat)
            yield RecordedAnswer(prompt, engine.model, answer.date, answer.text)


class _Shard:
    """The answers for all pairs of one first cluster: a JSON object a line."""

    def __init__(self, folder: Path, first: int, num_clusters: int) -> None:
        self.first, self._num = first, num_clusters
        self.file = folder / f"shard-{first:05d}.jsonl"
        self._unfinished = self.file.with_suffix(".unfinished")

    def read(self) -> dict[int, Answer]:
        """What was answered so far, by second cluster; a line cut off by a kill counts for nothing."""
        answers: dict[int, Answer] = {}
        path = self.file if self.file.is_file() else self._unfinished
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                entry = json.loads(line)
                cost = Cost(**entry["cost"])
                answers[entry["second"]] = Answer(entry["second"], entry["text"], cost, entry["date"])
            except (ValueError, KeyError, TypeError):
                continue
        return answers

    def num_missing(self) -> int:
        """Pairs that were not answered yet."""
        return 0 if self.file.is_file() else self._num - len(self.read())

    def ask(self, engine: Engine, texts: tuple[str, ...], bar: Any) -> None:
        """Complete the missing pairs with the engine."""
        answered = self.read()
        missing = [second for second in range(self._num) if second not in answered]
        write_text(self._unfinished, "".join(map(_line, answered.values())))  # without a line that was cut off
        prompts = [prompt_text(texts, self.first, second, engine.chat) for second in missing]
        # No tokenizer makes more tokens of a text than it has bytes.
        max_tokens = max(len(text.encode()) for text in texts) + _SPARE_TOKENS
        with self._unfinished.open("a", encoding="utf-8") as file:
            for answer in engine.answers(prompts, max_tokens):
                file.write(_line(replace(answer, number=missing[answer.number])))
                file.flush()
                bar.update()
        os.replace(self._unfinished, self.file)


def _line(answer: Answer) -> str:
    cost = asdict(answer.cost)
    return json.dumps({"second": answer.number, "text": answer.text, "date": answer.date, "cost": cost}) + "\n"


def _ask_all(engine: Engine, texts: tuple[str, ...], shards: list[_Shard]) -> None:
    """Complete all missing pairs; stop with an error if no answer ever names an interest."""
    total, number = len(texts) ** 2, {text: cluster for cluster, text in enumerate(texts)}
    said: Counter[str] = Counter()
    named = 0
    missing = sum(shard.num_missing() for shard in shards)
    with tqdm(total=total, initial=total - missing, desc="filling the table", unit="pair") as bar:
        for shard in shards:
            try:
                if not shard.file.is_file():
                    shard.ask(engine, texts, bar)
            except InvalidInput as error:
                kept = f"{bar.n:,} of {total:,} answers are kept: run again to go on"
                raise InvalidInput(error.field, error.value, f"{error.expected}; {kept}") from None
            texts_of_shard = [answer.text for answer in shard.read().values()]
            named += sum(strict_match(text, number) >= 0 for text in texts_of_shard)
            said.update(map(str.strip, texts_of_shard))
            bar.set_postfix(named=f"{named / said.total():.0%}", refresh=False)
            if named == 0 and (said.total() >= _MIN_ANSWERS or shard is shards[-1]):
                (text, count), *_ = said.most_common(1)
                expected = (
                    f"is what the model said {count:,} times, and none of its first {said.total():,} answers is an "
                    "interest's keywords, word for word; it may need llm.chat, or fine-tuning on the prompt"
                )
                raise InvalidInput("answer", text[:_EXAMPLE_LENGTH], expected)


def _assemble(folder: Path, shards: list[_Shard], texts: tuple[str, ...], inputs: dict[str, Any]) -> None:
    """Match the answers and write the table."""
    num, number = len(texts), {text: cluster for cluster, text in enumerate(texts)}
    best = np.full((num, num), -1, np.int32)
    unmatched: Counter[str] = Counter()
    cost, own = Cost(), 0
    for shard in shards:
        answers = shard.read()
        if len(answers) != num:
            raise InvalidInput("answers", str(shard.file), f"must hold {num} answers; delete it and run again")
        for second, answer in answers.items():
            cluster = strict_match(answer.text, number)
            if cluster in (shard.first, second):
                own += 1
            elif cluster < 0:
                unmatched[answer.text.strip()[:_EXAMPLE_LENGTH]] += 1
            else:
                best[shard.first, second] = cluster
            cost += answer.cost
    matched = best >= 0
    frequent = sorted(unmatched.items(), key=lambda text: (-text[1], text[0]))[:_EXAMPLES]
    about = {
        **about_table(inputs, template(2), texts, best.reshape(-1)),
        "answers": {
            "pairs": num * num,
            "matched": int(matched.sum()),
            "strict_match_rate": float(matched.mean()),
            "one_of_the_pair": own,
            "empty": unmatched[""],
            "frequent_unmatched": dict(frequent),
        },
        "cost": asdict(cost),
    }
    TransitionTable.write(folder, best.reshape(-1, 1), np.full((num * num, 1), np.nan, np.float32), about)
