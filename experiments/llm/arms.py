"""Which arms read a language model's table, with which settings; equal settings share their stages.

An agent's config may carry ``llm``, entries of the config's own ``llm`` that are different for its arm:
``agents.llm_random_weights.llm.random_weights=true``.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from agents.llm.settings import LLMSettings
from experiments.llm.stages import TableMade, check_ready, make_table
from experiments.stages.stages import Stage
from experiments.study.study import TABLE_PLANNERS, Study, resolved
from sim.errors import InvalidInput
from sim.records import checked, from_mapping


def check_llm(mapping: Any, name: str = "llm") -> LLMSettings:
    """The settings of ``conf/llm``, checked; what is wrong, ``InvalidInput`` calls an entry of ``name``."""
    try:
        return from_mapping(LLMSettings, mapping, "llm")
    except InvalidInput as error:
        raise InvalidInput(error.field.replace("llm", name, 1), error.value, error.expected) from None


def settings_by_arm(study: Study, config: DictConfig | dict[str, Any]) -> dict[str, LLMSettings]:
    """The settings of every arm whose planner reads a table.

    Raises:
        InvalidInput: one is wrong; also where an agent without such a planner has settings for it.
    """
    settings = {}
    common: dict[str, Any] | None = None
    for name, agent in study.agents.items():
        own = checked(dict[str, Any], agent.get("llm", {}), f"agents.{name}.llm")
        if planner_of(agent).get("_target_") not in TABLE_PLANNERS:
            if own:
                raise InvalidInput(
                    f"agents.{name}.llm", own, f"is for agents whose planner is {' or '.join(TABLE_PLANNERS)}"
                )
            continue
        if common is None:
            common = resolved(config.get("llm"), "llm")
            check_llm(common)
        settings[name] = check_llm({**(common or {}), **own}, f"agents.{name}.llm" if own else "llm")
        if settings[name].top_n > study.world.clusters.level_2:
            expected = f"must be at most world.clusters.level_2={study.world.clusters.level_2}"
            raise InvalidInput("llm.top_n", settings[name].top_n, expected)
    return settings


def find_all_weights(study: Study, settings: dict[str, LLMSettings]) -> None:
    """Find every model, or what it takes to ask it, before the burn-in; ``InvalidInput`` says how to get one."""
    for each in {(each.engine, each.model): each for each in settings.values()}.values():
        check_ready(each, study.cache_dir)


def make_tables(study: Study, settings: dict[str, LLMSettings], clustered: Stage) -> dict[str, TableMade]:
    """Fine-tune where that is asked for and fill a table for every arm; equal settings do so once."""
    made = {each: make_table(study, each, clustered) for each in dict.fromkeys(settings.values())}
    return {name: made[each] for name, each in settings.items()}


def with_tables(study: Study, made: dict[str, TableMade]) -> Study:
    """The study with each table's folder filled in, and without the settings that made it."""
    agents = dict(study.agents)
    for name, each in made.items():
        agent = {key: value for key, value in agents[name].items() if key != "llm"}
        agents[name] = {**agent, "planner": {**planner_of(agent), "table": str(each.table.folder / "table")}}
    return replace(study, agents=agents)


def inputs_of(made: dict[str, TableMade]) -> dict[str, list[str]]:
    """Of each arm the digests of the stages that its agent reads."""
    return {name: [each.table.digest] for name, each in made.items()}


def stages_of(made: dict[str, TableMade]) -> dict[str, Stage]:
    """Every stage by a name that tells its arm, but for the arm ``llm``."""
    stages: dict[str, Stage] = {}
    for name, each in made.items():
        suffix = "" if name == "llm" or len(made) == 1 else f" {name}"
        if each.tuned is not None:
            stages[f"finetune{suffix}"] = each.tuned
        stages[f"table{suffix}"] = each.table
    return stages


def results_of(made: dict[str, TableMade]) -> dict[str, Any]:
    """``llm`` of the arm of that name, or of the first; ``llm_arms`` of each; ``costs``."""
    if not made:
        return {}
    described = {name: each.described() for name, each in made.items()}
    return {
        "llm": described.get("llm", next(iter(described.values()))),
        "llm_arms": described,
        "costs": {name: each.costs() for name, each in made.items()},
    }


def planner_of(agent: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an agent's planner; empty where it has none."""
    planner = agent.get("planner")
    return planner if isinstance(planner, dict) else {}
