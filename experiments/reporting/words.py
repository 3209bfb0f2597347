"""What pages call the entries of results and settings: words, and a unit where there is one; what few worlds mean."""

from collections.abc import Mapping
from typing import Any

from experiments.inference.users import reach_of
from experiments.inference.worlds import ENOUGH_WORLDS, LEAST_WORLDS
from experiments.reporting.text import entry_text
from experiments.study.described import flat

WORDS = {
    # The language model's fine-tuning and its table.
    "best_step": "step whose weights are used",
    "fine_tuning_samples": "fine-tuning samples",
    "pairs_computed": "pairs of clusters computed",
    "table_bytes": "size of the table (bytes)",
    "tokens_computed": "tokens computed for the table",
    "tokens_for_the_labels_means": "tokens computed for the labels' mean probabilities",
    "tokens_per_pair": "tokens a pair",
    "tokens_per_pair_by_plain_generation": "tokens a pair, if answers were generated one by one",
    # Curation of the fine-tuning data.
    "distinct_labels_in_log": "labels that occur in the log",
    "held_out_transitions": "transitions held out for validation",
    "labels_with_too_few_pairs": "labels with fewer pairs than asked for",
    "labels_without_pairs": "labels without any pair",
    "later_transitions": "transitions of later days, kept for testing",
    "later_transitions_among_the_samples": "of these, also among the fine-tuning samples",
    "mode": "curation",
    "novel_transitions": "novel transitions in the log",
    "repeated_samples": "samples that repeat a pair",
    "samples": "fine-tuning samples",
    # How labels are spread over all pairs.
    "coverage": "labels that occur (share)",
    "gini": "Gini index",
    "never_generated": "labels that do not occur",
    "normalised_entropy": "entropy (share of the largest possible)",
    "top_1_percent_share": "pairs with the most frequent hundredth of labels (share)",
    # Fine-tuning curves; recall is under the trie: all labels are scored, none is generated.
    "held_out_loss": "loss, held-out pairs (nats a label token)",
    "held_out_loss_error": "standard error of the loss",
    "last_validation_loss": "loss at the last step (nats a label token)",
    "match_rate": "match rate",
    "strict_match_rate": "answers that are a label word for word (share)",
    "step": "step",
    "steps": "steps",
    "validation_loss": "loss at the best step (nats a label token)",
    # Folds of personas.
    "candidates_a_question": "labels ranked a question",
    "hidden_a_question": "labels to be found a question",
    "personas": "personas held out",
    "personas_asked": "personas asked about",
    "prior_pairs": "pairs for the labels' mean probabilities",
    "questions": "questions",
    "transitions": "transitions in the log",
    "transitions_removed": "transitions removed",
    "validation_transitions": "validation transitions",
    "who": "model",
}
"""Name in the results -> what pages call it."""

_SETS = {
    "fine_tuning": "fine-tuning set",
    "held_out": "held-out pairs",
    "later_days": "later days",
    "validation": "validation pairs",
}
"""What a recall is taken on."""

SETTINGS = {
    "experiment.days": "days of the experiment",
    "experiment.exploration_per_day": "the agent's slots a user and day",
    "agents.persona_oracle.planner.knowledge": "share of the planner's knowledge that is right",
    "experiment.exploration_slots": "number of the agent's slots",
    "llm.curation": "curation of the fine-tuning data",
    "llm.past_clusters": "past clusters in the prompt",
    "llm.steps": "fine-tuning steps",
    "world.clusters.level_2": "number of clusters",
    "world.dynamics.reinforcement": "reinforcement of tastes",
    "world.semantic_alignment": "share of true labels (alpha)",
}
"""Entry of the config -> what pages call it; those that ``conf/sweep`` varies."""


def setting_in_words(entry: str) -> str:
    """What a page calls an entry of the config.

    Args:
        entry: its dotted name, such as ``llm.steps`` ("fine-tuning steps"). Of one that no page has words for it is the
            last name, and the agent's name if it is an agent's: ``agents.hcb.planner.alpha`` is "alpha (hcb)".
    """
    if entry in SETTINGS:
        return SETTINGS[entry]
    first, *parents, last = entry.split(".") if "." in entry else ("", entry)
    return last.replace("_", " ") + (f" ({parents[0]})" if first == "agents" and parents else "")


def in_words(path: str) -> str:
    """What a page calls an entry of the results.

    Args:
        path: its dotted name, such as ``held_out.recall@10`` ("recall@10, held-out pairs") or ``llm.tokens_per_pair``
            ("llm: tokens a pair"). A name that no page has words for has its underscores replaced.
    """
    if path in WORDS:
        return WORDS[path]
    if path.startswith("peaks."):
        what, _, which = path.removeprefix("peaks.").rpartition(".")
        of = "step where it is best" if which == "step" else "best value"
        return f"{in_words(what)}: {of}"
    if path.startswith("validation_recall@"):
        return f"{path.removeprefix('validation_')}, {_SETS['validation']}"
    if path.startswith("answers.frequent_unmatched."):
        return f"answers that match no label: {path.removeprefix('answers.frequent_unmatched.') or 'empty'}"
    if path.startswith("answers."):
        return in_words(path.removeprefix("answers."))
    first, _, rest = path.partition(".")
    if first in _SETS and rest:
        return f"{in_words(rest)}, {_SETS[first]}"
    if first in ("curation", "label_skew") and rest:
        return in_words(rest)
    return f"{first}: {in_words(rest)}" if rest else path.replace("_", " ")


def worded_rows(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested entries of results as ``(words, text)``."""
    return [(in_words(name), entry_text(value)) for name, value in flat(tree)]


def worded(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of results, nested or not, as a flat one under words."""
    return {in_words(name): value for name, value in flat(record)}


def few_worlds(num: int) -> str:
    """A caution about intervals from few worlds; nothing from ``ENOUGH_WORLDS`` on."""
    if num >= ENOUGH_WORLDS:
        return ""
    if num < 2:
        return "Too few to tell: one world gives no interval, and no difference on this page is a finding."
    caution = (
        f"With {num} worlds an interval reaches {reach_of(num - 1):.1f} standard errors to each side (Student's t): "
        "so few say little of how worlds differ. The smallest difference that could have been seen is half its "
        "interval's width."
    )
    return ("Too few to tell: no difference on this page is a finding. " if num < LEAST_WORLDS else "") + caution
