"""The controls that every claim is shown with: differences that must vanish, and differences that must be there.

A control *holds* if the experiment behaves as it must; one that does not hold casts doubt on every claim.
"""

from scipy.stats import beta

from experiments.inference.users import LEVEL
from experiments.inference.worlds import OverWorlds
from experiments.paper.live import BANDIT, CONTROL, LLM, NO_LANGUAGE_ARMS, WATCH
from experiments.paper.splits import FALSE_POSITIVES_OF, SPLITS, false_positives
from experiments.paper.verdicts import FAILS, HOLDS, OPEN, Claim, Stated, above, gone, jointly, named, percent, together
from experiments.results_schema import MetricName
from experiments.several.plan import A_A, ALPHA_0, MAIN, NOTHING_TO_FIND, TWIN
from experiments.several.worlds import Variants, Worlds, estimate

EDGE: MetricName = "novel_positive_rate_agent_slots"
DISCOVERIES: MetricName = "discoveries_per_user"
"""Metrics by which planners differ: positive feedback on novel impressions, and discoveries."""

AT_RANDOM = NO_LANGUAGE_ARMS[0]
"""The arm that stands for chance: a random novel cluster."""

RANDOM_WEIGHTS, ORACLE, NOVEL_ORACLE, PERSONAS = "llm_random_weights", "oracle", "oracle_novel", "persona_oracle"

SMALL = 0.05
"""A relative gain that is surely below this counts as none (chosen)."""

WELL_TRAINED = 0.9
"""Match rate from which the twin counts as having learned the language (as in docs/knowledge.md)."""

NOMINAL = 0.02, 0.08
"""Where the false positives of tests at 5 % must lie (chosen)."""

PERMUTED = Stated(
    "alpha = 0",
    "Labels permuted: the LLM's edge over its random-weights twin is gone",
    "Whoever gains where words tell nothing has found a leak.",
    "Positive feedback on the agent's novel impressions, relative to the twin, at alpha = 0: the interval lies below "
    f"+{SMALL:.0%} and not above 0.",
)
CHANCE = Stated(
    "alpha = 0, chance",
    "Labels permuted: the LLM's edge over a random novel cluster is gone",
    "A twin that has learned to speak and little else can be worse than chance; chance cannot.",
    "Positive feedback on the agent's novel impressions, relative to random_novel, at alpha = 0: the interval lies "
    f"below +{SMALL:.0%} and not above 0.",
)
ALPHA_1 = Stated(
    "alpha = 1",
    "Labels as they are: the LLM is better than its random-weights twin",
    "What language adds to what the log alone teaches.",
    "The same at alpha = 1: the interval lies above 0.",
)
MEANING = Stated(
    "words",
    "The LLM's novel impressions please more where its labels tell the truth",
    "The same users, log, clusters and training, with the labels dealt out anew: what the words' meaning adds.",
    "Positive feedback on the agent's novel impressions at alpha = 1, relative to the same agent at alpha = 0, world "
    "by world: the interval lies above 0.",
)
NO_LANGUAGE = Stated(
    "no language",
    "The LLM's novel impressions please more than those of planners without language",
    "Random novel clusters and the log's own transition counts, with back-off.",
    "Positive feedback on the agent's novel impressions: the intervals against random_novel and counts lie above 0.",
)
ROOM = Stated(
    "room",
    "There is something to know: who knows all personas, and no user, plans better than chance",
    "A control and no bound: two clusters of a history go in, ranked next clusters come out, as with the LLM.",
    "Positive feedback on the agent's novel impressions, persona_oracle to random_novel: the interval lies above 0.",
)
NO_GAIN = Stated(
    "nothing to find",
    "No dormant interests and no satiation: exploring gains no watch time",
    "Exploration cannot pay there, so whoever finds that it does has found a fault.",
    f"Watch time against control, for every exploring arm: the interval lies below +{SMALL:.0%} and not above 0.",
)
SAME = Stated(
    "A/A, twice",
    "The same agent in two arms: no lift",
    "The arms differ in the luck of the agent's draws alone.",
    f"Watch time: the interval over worlds holds 0 and lies within ±{SMALL:.0%}; does not hold if it leaves 0 out.",
)
SPLIT = Stated(
    "A/A, splits",
    "One arm's users split at random: false positives at the nominal 5%",
    "Whether the intervals over users keep what they promise.",
    f"Share of differences with p < .05 over {SPLITS} random halves a world of the control arm's users, three "
    f"metrics: its 95% interval lies within {NOMINAL[0]:.0%} and {NOMINAL[1]:.0%}; does not hold if outside.",
)
BOUND = Stated(
    "oracle",
    "There is something to find: who knows the users' interests discovers more",
    "A yardstick: where even it finds nothing, no planner could be told from another. It may plan clusters that the "
    "user knows; oracle_novel, told beside it, may not, like the planners.",
    "Discoveries of dormant interests against control: the oracle's interval lies above 0.",
)


def controls(variants: Variants, among: int = 1) -> list[Claim]:
    """A row for each control, its verdict as one of ``among`` (``verdicts.together``)."""
    return [
        against_twin(PERMUTED, variants.get(ALPHA_0), among),
        against_chance(variants.get(ALPHA_0), among),
        no_gain(variants.get(NOTHING_TO_FIND), among),
        same_twice(variants.get(A_A), among),
        splits(variants[MAIN], among),
        something_to_find(variants[MAIN], among),
    ]


def what_language_adds(variants: Variants, among: int = 1) -> list[Claim]:
    """A row for each finding on the value of language, its verdict as one of ``among``.

    They are no controls, since both answers are possible.
    """
    return [
        meaning_of_words(variants[MAIN], variants.get(ALPHA_0), among),
        against_twin(ALPHA_1, variants.get(TWIN), among),
        no_language(variants[MAIN], among),
        room_for_knowledge(variants[MAIN], among),
    ]


def meaning_of_words(worlds: Worlds, permuted: Worlds | None, among: int = 1) -> Claim:
    """The LLM at alpha = 1 against itself at alpha = 0: it must be better where words mean something (``above``).

    Only the language model reads labels: both variants' worlds have the same users, logs and clusters, and
    its two fine-tunings differ in the words alone. Unlike a network of random weights it has nothing to learn first.
    """
    if permuted is None or not (worlds.has(LLM) and permuted.has(LLM)):
        return MEANING.not_run("The variant alpha_0 was not run.")
    edge, discoveries, watch = (
        worlds.difference_to_variant(permuted, LLM, metric) for metric in (EDGE, DISCOVERIES, WATCH)
    )
    why = f"Relative to alpha = 0: discoveries {percent(discoveries)}, watch time {percent(watch)}."
    return MEANING.judged(edge, "% to alpha = 0", above(edge, among=among), why)


def against_twin(stated: Stated, worlds: Worlds | None, among: int = 1) -> Claim:
    """The LLM's edge over its random-weights twin must be gone at alpha = 0 (``gone``), there at 1 (``above``)."""
    if worlds is None or not worlds.has(LLM, RANDOM_WEIGHTS):
        return stated.not_run("The variant was not run.")
    edge, discoveries = (worlds.against(LLM, RANDOM_WEIGHTS, metric) for metric in (EDGE, DISCOVERIES))
    verdict = gone(edge, SMALL, among) if stated is PERMUTED else above(edge, among=among)
    why = f"Relative to the twin: novel positives {percent(edge)}, discoveries {percent(discoveries)}. "
    return stated.judged(edge, "% to the twin", verdict, why + twin_trained(worlds))


def against_chance(permuted: Worlds | None, among: int = 1) -> Claim:
    """The LLM's edge over a random novel cluster must be gone at alpha = 0 (``gone``)."""
    if permuted is None or not permuted.has(LLM, AT_RANDOM):
        return CHANCE.not_run(f"The variant alpha_0 was not run, or without {AT_RANDOM}.")
    edge, discoveries = (permuted.against(LLM, AT_RANDOM, metric) for metric in (EDGE, DISCOVERIES))
    why = f"Relative to {AT_RANDOM}: novel positives {percent(edge)}, discoveries {percent(discoveries)}."
    if permuted.has(RANDOM_WEIGHTS):
        why += f" The twin's novel positives: {percent(permuted.against(RANDOM_WEIGHTS, AT_RANDOM, EDGE))}."
    return CHANCE.judged(edge, f"% to {AT_RANDOM}", gone(edge, SMALL, among), why)


def twin_trained(worlds: Worlds) -> str:
    """How well the twin learned the language, by its own held-out pairs and the labels of its table, in words."""
    tuned = [results["llm_arms"][RANDOM_WEIGHTS] for results in worlds.each]
    best = [each["best_step"] for each in tuned]
    last = [each["curve"][-1]["step"] for each in tuned]
    match = [next(p["match_rate"] for p in each["curve"] if p["step"] == each["best_step"]) or 0.0 for each in tuned]
    late = sum(step == end for step, end in zip(best, last, strict=True))
    untrained = sum(rate < WELL_TRAINED for rate in match)
    one, other = (worlds.number("llm_arms", arm, "label_skew", "gini").mean for arm in (RANDOM_WEIGHTS, LLM))
    words = [f"The twin's best step, by its own held-out pairs: {', '.join(map(str, best))} of {last[0]}."]
    if one is not None and other is not None:
        words.append(f"Its table's labels have a Gini index of {one:.2f}, the LLM's of {other:.2f}.")
    if late:
        words.append(f"Caution: in {late} of {len(best)} worlds it was still best at its last step.")
    if untrained:
        words.append(
            f"Caution: in {untrained} of {len(best)} it never learned the language (match rate {min(match):.2f})."
        )
    return " ".join(words)


def no_language(worlds: Worlds, among: int = 1) -> Claim:
    """The LLM against a random novel cluster and transition counts: both intervals must lie above 0."""
    others = [arm for arm in NO_LANGUAGE_ARMS if worlds.has(arm)]
    if not others or not worlds.has(LLM):
        return NO_LANGUAGE.not_run("An arm is missing.")
    edges = {arm: worlds.against(LLM, arm, EDGE) for arm in others}
    discoveries = {arm: worlds.against(LLM, arm, DISCOVERIES) for arm in others}
    why = f"Novel positives relative to {named(edges)}. Discoveries relative to {named(discoveries)}."
    verdict = jointly([above(edge, among=among) for edge in edges.values()])
    return NO_LANGUAGE.judged(edges[others[0]], f"% to {others[0]}", verdict, why)


def room_for_knowledge(worlds: Worlds, among: int = 1) -> Claim:
    """The persona oracle against a random novel cluster: it must be better (``above``)."""
    if not worlds.has(PERSONAS, AT_RANDOM):
        return ROOM.not_run("An arm is missing.")
    edge, discoveries = (worlds.against(PERSONAS, AT_RANDOM, metric) for metric in (EDGE, DISCOVERIES))
    why = f"Discoveries relative to {AT_RANDOM}: {percent(discoveries)}."
    if worlds.has(LLM):
        own, own_discoveries = (worlds.against(LLM, AT_RANDOM, metric) for metric in (EDGE, DISCOVERIES))
        why += f" The LLM's novel positives: {percent(own)}, discoveries: {percent(own_discoveries)}."
    return ROOM.judged(edge, f"% to {AT_RANDOM}", above(edge, among=among), why)


def no_gain(worlds: Worlds | None, among: int = 1) -> Claim:
    """Without dormant interests and satiation no exploring arm may gain watch time (``gone``, each of them)."""
    if worlds is None or not worlds.has(LLM, CONTROL):
        return NO_GAIN.not_run("The variant was not run.")
    lifts = {arm: worlds.against(arm, CONTROL, WATCH) for arm in worlds.arms if arm not in (CONTROL, BANDIT)}
    verdict = jointly([gone(lift, SMALL, among) for lift in lifts.values()])
    return NO_GAIN.judged(lifts[LLM], f"% watch time to {CONTROL}", verdict, f"Watch time to control: {named(lifts)}.")


def same_twice(worlds: Worlds | None, among: int = 1) -> Claim:
    """A/A by two arms of the same agent: watch time's interval over worlds holds 0 and lies within ``SMALL``."""
    if worlds is None or len(worlds.arms) < 2:
        return SAME.not_run("The variant was not run.")
    one, again = worlds.arms[:2]
    lift = worlds.against(again, one, WATCH)
    others = {name: worlds.against(again, one, name) for name in (EDGE, "positive_rate", DISCOVERIES)}
    verdict = OPEN
    low, high = together(lift, among)
    if low is not None and high is not None:
        near = max(-low, high) < SMALL
        verdict = FAILS if low > 0 or high < 0 else HOLDS if near else OPEN
    why = f"{one} against itself; other metrics: {named({name.replace('_', ' '): o for name, o in others.items()})}."
    return SAME.judged(lift, "% watch time", verdict, why)


def splits(worlds: Worlds, among: int = 1) -> Claim:
    """A/A by user splits: the share of false positives, with its exact (Clopper and Pearson 1934) interval.

    Random halves of one arm's users are independent given the users, so that a test's false positives in them are
    binomial. Metrics of the same halves are not independent: trials are counted once, the metrics' share averaged.
    """
    if not worlds.has(CONTROL):
        return SPLIT.not_run("An arm is missing.")
    shares = dict.fromkeys(FALSE_POSITIVES_OF, 0.0)
    for results, folder in zip(worlds.each, worlds.folders, strict=True):
        for metric, rejected in false_positives(results, folder).items():
            shares[metric] += rejected / len(worlds.each)
    trials = SPLITS * len(worlds.each)
    mean = sum(shares.values()) / len(shares)
    low, high = binomial_interval(mean, trials)
    least, most = binomial_interval(mean, trials, among)
    inside, outside = NOMINAL[0] <= least and most <= NOMINAL[1], most < NOMINAL[0] or least > NOMINAL[1]
    verdict = HOLDS if inside else FAILS if outside else OPEN
    listed = ", ".join(f"{metric.replace('_', ' ')} {100 * each:.1f}%" for metric, each in shares.items())
    share = OverWorlds(mean, low, high, p=None, tau=None, i_squared=None, by_world=())
    return SPLIT.judged(share, "% of tests", verdict, f"Of {trials:,} splits: {listed}.")


def binomial_interval(share: float, trials: int, among: int = 1) -> tuple[float, float]:
    """The exact 95 % interval of a binomial share.

        low = B^-1(0.025; k, n - k + 1),  high = B^-1(0.975; k + 1, n - k)

    with B the beta distribution's (Clopper and Pearson 1934); k = share x trials need not be whole. As one of
    ``among`` intervals that hold together it has tails of 0.025 / ``among`` (Bonferroni).
    """
    tail, k = (1 - LEVEL) / 2 / among, share * trials
    low = float(beta.ppf(tail, k, trials - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, trials - k)) if k < trials else 1.0
    return low, high


def something_to_find(worlds: Worlds, among: int = 1) -> Claim:
    """The oracle must discover more than production alone: its interval lies above 0."""
    if not worlds.has(ORACLE, CONTROL):
        return BOUND.not_run("An arm is missing.")
    lift, watch = (worlds.against(ORACLE, CONTROL, metric) for metric in (DISCOVERIES, WATCH))
    llm = worlds.against(LLM, CONTROL, DISCOVERIES) if worlds.has(LLM) else estimate([None])
    why = f"Its watch time: {percent(watch)}. The LLM's discoveries: {percent(llm)}."
    if worlds.has(NOVEL_ORACLE):
        same = worlds.against(NOVEL_ORACLE, CONTROL, DISCOVERIES)
        why += f" The oracle that may plan only clusters new to the user, as the LLM may: {percent(same)}."
    return BOUND.judged(lift, f"% discoveries to {CONTROL}", above(lift, among=among), why)
