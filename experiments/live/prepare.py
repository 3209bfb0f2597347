"""What precedes an A/B in every command that has one: checks, burn-in, clusters, the language models' tables."""

from dataclasses import dataclass

from omegaconf import DictConfig

from agents.llm.settings import LLMSettings
from experiments.live import pipeline
from experiments.llm import arms as llm_arms
from experiments.llm.stages import TableMade
from experiments.stages.stages import Stage
from experiments.study.study import Study, check_agents


@dataclass(frozen=True)
class Prepared:
    """A study at the end of its burn-in.

    Attributes:
        study: with the folders of tables filled in.
        before: the burn-in.
        clustered: the clusters stage.
        tables: of each arm that reads one.
    """

    study: Study
    before: Stage
    clustered: Stage
    tables: dict[str, TableMade]

    @property
    def inputs(self) -> dict[str, list[str]]:
        """Of each arm that reads a table, the digests of the stages that its agent depends on besides its config."""
        return llm_arms.inputs_of(self.tables)

    @property
    def stages(self) -> dict[str, Stage]:
        """Every stage by its name in ``timings.json``."""
        return {"burn-in": self.before, "clusters": self.clustered, **llm_arms.stages_of(self.tables)}


def check_runnable(study: Study, config: DictConfig) -> dict[str, LLMSettings]:
    """Check before anything runs for what would stop a study later: an agent that cannot be made, a missing model.

    Returns:
        The settings of every arm that reads a table, out of ``config.llm`` and its own.

    Raises:
        InvalidInput: names what is wrong.
    """
    check_agents(study)
    settings = llm_arms.settings_by_arm(study, config)
    llm_arms.find_all_weights(study, settings)
    return settings


def prepare(study: Study, settings: dict[str, LLMSettings]) -> Prepared:
    """Make the stages that a study's arms depend on, or read them from the cache.

    ``settings`` are what ``check_runnable`` says of it; errors are those of ``llm_stages.make_table``.
    """
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    tables = llm_arms.make_tables(study, settings, clustered)
    return Prepared(llm_arms.with_tables(study, tables), before, clustered, tables)
