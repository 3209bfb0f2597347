"""``interestlab arena``: off-policy estimates of agents, compared with their true values.

A log holds the feedback to what was shown. An agent's own slates are known, but not the feedback that they would
get: estimators estimate it. In a simulated world its true value is known, in two forms:

- *at the same requests*: the reward of the agent's slates, each shown to the same user in the same state; what
  estimators estimate;
- *in an A/B*: the reward when the agent serves for days; what one wants to know.

Estimators deviate from the first by chance, by their assumptions, and by all that the logging policy
never shows. The second differs from the first because agents change users.
"""

from pathlib import Path

import pyarrow.csv
from omegaconf import DictConfig, open_dict
from tqdm import tqdm

from agents.llm.settings import LLMSettings
from agents.making import build_agent
from experiments.arena.jobs import make_all
from experiments.arena.page import write_arena
from experiments.arena.scores import scores_stage
from experiments.arena.settings import ArenaConfig, check_arena
from experiments.arena.summary import flat, summarise
from experiments.live.prepare import check_runnable, prepare
from experiments.several.runs import alone_in
from experiments.study.study import Study, check_study, resolved
from sim.files import write_json


def check_config(config: DictConfig) -> tuple[Study, ArenaConfig, dict[str, LLMSettings]]:
    """The study, whose arms are the agents, the arena's settings, and the arms' tables', or ``InvalidInput``."""
    with open_dict(config):  # roles of an A/B's report, which the arena has not
        arms = config.experiment.arms
        if not isinstance(arms, str) and len(arms):
            config.experiment.control = config.experiment.reference = arms[0]
    study = check_study(config)
    arena = check_arena(resolved(config.arena, "arena"), study)
    tables = check_runnable(study, config)
    for name, entries in arena.logging.items():
        build_agent(entries if "_target_" in entries else {**study.production, **entries}, f"logging policy {name}")
    return study, arena, tables


def arena(config: DictConfig, folder: Path) -> Path:
    """Run what has not been run, and write arena.html (whose path is returned), .json, .csv, .md and the figures.

    Raises:
        InvalidInput: a setting is wrong, or weights are missing; before anything runs. Or a logging policy does not
            tell its probabilities.
    """
    study, settings, tables = check_config(config)
    with alone_in(folder):
        ready = prepare(study, tables)
        study = ready.study
        made = make_all(study, settings, ready.before, ready.clustered, ready.inputs)
        scored = {}
        for policy, logged in tqdm(made.logged.items(), desc="estimators", unit="log", dynamic_ncols=True):
            offline = {name: made.offline[policy, name] for name in study.experiment.arms}
            scored[policy] = scores_stage(study, settings, policy, logged, offline)
        results = summarise(study, made, scored, ready.clustered)
        write_json(folder / "arena.json", results)
        pyarrow.csv.write_csv(flat(results), folder / "arena.csv")
        facts = {
            "users": f"{study.world.num_users:,}",
            "items": f"{study.world.num_items:,}",
            "interests": str(study.world.num_interests),
            "days": str(study.experiment.days),
            "log_days": str(settings.log_days),
            "redraws": str(settings.redraws),
        }
        return write_arena(results, facts, folder)


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    print(f"report: {arena(config, folder).resolve()}")
