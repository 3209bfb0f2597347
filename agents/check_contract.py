"""What the tests of ``agents.testing`` share: an agent by its name or class, examined once, one finding a test."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from agents import check_slates, planner
from agents.base import RandomStream, Recommendations, Requests
from agents.check import Finding, check_source, run_checks
from agents.check_exam import Exam
from agents.check_platform import SmallPlatform, small_platform, successor
from agents.check_source import GROUP, package_folder
from agents.making import build_agent
from agents.sequence import SequenceAgent
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.platform import Platform

_NUM_CLUSTERS, _DAYS, _PER_DAY = 24, 4, 4  # users consume from at most 16 clusters and have novel ones left
_STREAM = RandomStream(0, "agents.testing")

SlateRule = Callable[[Recommendations, Requests, Platform, str], None]
PlanRule = Callable[[IntArray, Requests, int, str], None]


class Examined:
    """An agent's findings, made once, and what each test does with them.

    Args:
        config: Hydra config of the agent.
        name: how messages call it.
        num_draws: how often the same requests are repeated to compare propensities with frequencies.

    Attributes:
        small: the platform on which it was examined.
        exam: the examination, done.
        findings: by check.
    """

    def __init__(self, config: dict[str, Any], name: str, num_draws: int) -> None:
        self.small = contract_platform()
        production = SequenceAgent(epochs=1)
        production.fit(self.small.platform, self.small.log, _STREAM.at("production"))
        self.exam = Exam(
            lambda: build_agent(config, name), self.small.platform, self.small.log, _STREAM, production, num_draws
        )
        self.findings = {"source": check_source(config), **run_checks(self.exam)}

    def expect(self, check: str) -> None:
        """Pass, fail or skip the running test as a check came out."""
        _report(self.findings[check])

    def expect_slates(self, rule: SlateRule) -> None:
        """Fail the running test if a slate breaks one of ``check_slates.SLATE_RULES``."""
        exam = self.exam
        self._report_unless_asked(len(exam.slates_seen) > 0)
        for slates in exam.slates_seen:
            arguments = (slates, exam.requests, exam.platform, f"agent {exam.name}")
            _report_broken(rule, check_slates.check_form, *arguments)

    def expect_plan(self, rule: PlanRule) -> None:
        """Fail the running test if the planner's plan breaks a rule for plans."""
        exam: Exam = self.exam
        agent: Any = getattr(exam, "agent", None)
        self._report_unless_asked(agent is not None)
        raised = ""
        try:
            plan = agent.inner.planner.propose(exam.requests, exam.rng.at("first").at("planner"))
        except Exception as error:  # whatever a planner may raise; expect("slates") says where
            raised = f"propose raised {type(error).__name__}: {error}"
        if raised and rule is planner.check_form:
            pytest.fail(raised, pytrace=False)
        if raised:
            pytest.skip("cannot tell before propose returns a plan")
        field = f"planner {type(agent.inner.planner).__name__}"
        arguments = (plan, exam.requests, exam.platform.clusters.num_clusters, field)
        _report_broken(rule, planner.check_form, *arguments)

    def _report_unless_asked(self, asked: bool) -> None:
        """Without a slate or plan there is nothing to check a rule on: the finding says why."""
        if not asked:
            _report(self.findings["slates"])
            raise AssertionError("the slates check passed without a slate")


def contract_platform() -> SmallPlatform:
    """The platform of the contract's tests: user 0 has consumed from all clusters, user 1 from all but two."""
    small = small_platform(successor(_NUM_CLUSTERS), days=_DAYS, per_day=_PER_DAY, leaves=2)
    everything = np.arange(_NUM_CLUSTERS)
    small.records.mark_consumed(np.zeros(_NUM_CLUSTERS, np.int64), everything)
    small.records.mark_consumed(np.ones(_NUM_CLUSTERS - 2, np.int64), everything[2:])
    return small


def check_novel(examined: Examined, plan: IntArray, requests: Requests, num_clusters: int, field: str) -> None:
    """Raise InvalidInput if a user's plan (B, S) holds fewer novel clusters than are left; S are enough."""
    novel = ~examined.small.platform.consumed_clusters(requests.user)  # (B, M)
    planned = np.take_along_axis(novel, plan, axis=1).sum(axis=1)
    expected = np.minimum(novel.sum(axis=1), requests.num_slots)
    wrong = np.flatnonzero(planned < expected)
    if len(wrong):
        row = wrong[0]
        advice = (
            f"user {requests.user[row]}: {planned[row]} of these clusters are novel and {expected[row]} must be; take "
            "agents.novel_choice.choose_novel, or set plans_novel = False if the planner promises no novelty"
        )
        raise InvalidInput(field, plan[row].tolist(), advice)


def agent_config(agent: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The Hydra config of an agent.

    Args:
        agent: an installed agent's name, or one of ours; or ``module:Class``.
        settings: entries that differ; dots lead into an entry.

    Raises:
        InvalidInput: no installed distribution announces an agent of this name, and none of ours is called so.
    """
    module, is_class, name = agent.partition(":")
    config = OmegaConf.create({"_target_": f"{module}.{name}"}) if is_class else _installed(agent)
    for key, value in settings.items():
        OmegaConf.update(config, key, value, force_add=True)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def planner_config(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The Hydra config of an agent with this planner, and a ranker that draws items of the planned clusters at random.

    Args:
        name: of an installed agent whose config has an entry ``planner``; or ``module:Class``.
        settings: entries of the planner that differ.

    Raises:
        InvalidInput: see ``agent_config``; or the agent has no planner.
    """
    if ":" in name:
        config = agent_config(name, settings)
    else:
        whole = agent_config(name, {f"planner.{key}": value for key, value in settings.items()})
        if not isinstance(whole.get("planner"), dict):
            raise InvalidInput("planner", name, "must be an agent whose config has a planner, or module:Class")
        config = whole["planner"]
    ranker = {"_target_": "agents.cluster_rankers.RandomWithinClusterRanker"}
    return {"_target_": "agents.hierarchical.HierarchicalAgent", "planner": config, "ranker": ranker}


def _installed(name: str) -> Any:
    """The composed ``conf/agent/NAME.yaml``; Hydra reads it and what it names, and imports nothing."""
    folders = [package_folder(entry.value) for entry in entry_points(group=GROUP, name=name)]
    path = ",".join(f"'file://{folder / 'conf'}'" for folder in folders if folder is not None)
    with initialize_config_module("conf", version_base="1.3"):
        try:
            return compose(overrides=[f"hydra.searchpath=[{path}]", f"+agent={name}"]).agent
        except Exception as error:  # Hydra's, OmegaConf's and YAML's own errors are of many kinds
            reason = f" ({' '.join(str(error).split())[:200]})" if folders else "; install yours: pip install -e ."
            expected = f"must be the name of an installed agent, or module:Class{reason}"
            raise InvalidInput("agent", name, expected) from None


def _report(finding: Finding) -> None:
    if finding.verdict == "skip":
        pytest.skip(finding.message)
    if finding.verdict == "fail":
        pytest.fail(finding.message, pytrace=False)


def _report_broken(rule: Callable[..., None], form: Callable[..., None], *arguments: object) -> None:
    """Fail the running test if a rule is broken; skip it if shape and type (``form``) are not even right."""
    message = _broken(form, *arguments)
    if message and rule is not form:
        pytest.skip("cannot tell before shape and type are right")
    try:
        message = message or _broken(rule, *arguments)
    except IndexError:  # novelty is that of existing clusters
        pytest.skip("cannot tell before all clusters exist")
    if message:
        pytest.fail(message, pytrace=False)


def _broken(rule: Callable[..., None], *arguments: object) -> str:
    """What a rule says is wrong; empty if nothing is. pytest would add an error that is still being handled."""
    try:
        rule(*arguments)
    except InvalidInput as error:
        return str(error)
    return ""
