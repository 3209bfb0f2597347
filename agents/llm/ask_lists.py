"""One list an interest from any engine: M questions in place of M^2."""

import contextlib
from pathlib import Path

from tqdm import tqdm

from agents.llm.engines import Engine
from agents.llm.prompt import cluster_texts, list_prompt
from agents.llm.recorded import RecordedAnswer, read_line, write_answers
from sim.clusters import InterestClusters
from sim.errors import InvalidInput

LIST_LENGTH = 25
"""Interests that a list asks for, fewer where there are not as many (as the lists that come along have)."""


def ask_lists(engine: Engine, clusters: InterestClusters, num_keywords: int, record: Path) -> None:
    """Ask for every cluster which others go with it, and keep the answers in ``record``, or go on with it.

    The file is as ``agents.llm.recorded`` describes: an interest is what the prompts call a cluster. It has its name
    when it is whole; until then each answer is added as it comes, so that neither a killed run nor a server that dies
    loses any.

    Raises:
        InvalidInput: the engine is none that is asked in chats, or cannot go on (what it said is kept: run again).
    """
    if record.is_file():
        return
    if not engine.chat:
        raise InvalidInput("llm.chat", False, "must be true with llm.ask=lists: the question is a message")
    texts = cluster_texts(clusters, num_keywords)
    num = min(LIST_LENGTH, len(texts) - 1)
    prompts = [list_prompt(texts, cluster, num) for cluster in range(len(texts))]
    longest = sorted((len(text.encode()) for text in texts), reverse=True)[:num]
    partial = record.with_name(f"{record.name}.unfinished")
    said = {each.prompt: each for each in _whole_lines(partial)}
    write_answers(partial, said.values())  # without a line that was cut off
    missing = [cluster for cluster, prompt in enumerate(prompts) if prompt not in said]
    with (
        tqdm(total=len(texts), initial=len(said), desc="asking for lists", unit="list") as bar,
        partial.open("a", encoding="utf-8") as file,
    ):
        # No tokenizer makes more tokens of a text than it has bytes; a line may have a number and a line end.
        for answer in engine.answers([prompts[cluster] for cluster in missing], sum(longest) + 8 * num):
            cluster = missing[answer.number]
            each = RecordedAnswer(prompts[cluster], engine.model, answer.date, answer.text, texts[cluster])
            said[each.prompt] = each
            file.write(each.line())
            file.flush()
            bar.update()
    write_answers(record, [said[prompt] for prompt in prompts])  # in the order of clusters, however they came
    partial.unlink()


def _whole_lines(partial: Path) -> list[RecordedAnswer]:
    """What was answered so far; a line cut off by a kill counts for nothing."""
    if not partial.is_file():
        return []
    whole = []
    for line in partial.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(InvalidInput):
            whole.append(read_line(line, str(partial)))
    return whole
