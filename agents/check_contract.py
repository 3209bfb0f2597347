"""What the tests of ``agents.testing`` share: an agent by its name or class, examined once, one finding a test."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from agents import check_slates
from agents import planner as plans
from agents.base import RandomStream, Recommendations, Requests
from agents.check import CHECKS, Finding, check_source, run_check, run_checks
from agents.check_days import lived
from agents.check_exam import Exam
from agents.check_platform import SmallPlatform, small_platform, successor
from agents.check_slates import SLATE_RULES, validate
from agents.check_source import GROUP, package_folder
from agents.making import build_agent
from agents.planner import PLAN_RULES
from agents.sequence import SequenceAgent
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.platform import Platform

_DAYS, _PRIOR_DAYS = 4, 2  # of the log; of these, before day 0
_NUM_CLUSTERS, _PER_DAY = 24, 4  # users consume from at most 16 clusters and have novel ones left
_DAYS_AFTER = 3  # after the log, on which agents are asked and learn
_STREAM = RandomStream(0, "agents.testing")

Rule = Callable[..., None]


class Examined:
    """An agent's findings, made once, and what each test does with them.

    Args:
        config: returns the agent's Hydra config, or raises InvalidInput if there is no such agent.
        name: how messages call it.
        num_draws: how often the same requests are repeated to compare propensities with frequencies.

    Attributes:
        findings: by check; ``days`` is that of the days that pass after all others.
    """

    def __init__(self, config: Callable[[], dict[str, Any]], name: str, num_draws: int) -> None:
        self._breaches: dict[Rule, Finding] = {}  # of rules for slates and plans, the first of each
        try:
            settings = config()
        except InvalidInput as error:
            cannot_tell = Finding("trains", "skip", "cannot tell before there is such an agent")
            self.findings = dict.fromkeys(("source", *CHECKS, "days"), cannot_tell)
            self.findings["trains"] = Finding("trains", "fail", str(error))
            self._breaches = dict.fromkeys((*SLATE_RULES, *PLAN_RULES, check_novel), cannot_tell)
            return
        self._small = contract_platform()
        platform, log = self._small.platform, self._small.log
        production = SequenceAgent(epochs=1)
        production.fit(platform, log, _STREAM.at("production"))
        exam = Exam(lambda: build_agent(settings, name), platform, log, _STREAM, production, num_draws)
        self.findings = {"source": check_source(settings), **run_checks(exam)}
        for slates in exam.slates_seen:
            self._examine_slates(slates, exam.requests, exam.name)
        if not exam.slates_seen:
            self._breaches |= dict.fromkeys(SLATE_RULES, self._skipped("slates"))
        self._propose(exam)
        self._pass_days(exam)

    def expect(self, check: str) -> None:
        """Pass, fail or skip the running test as a check came out."""
        _report(self.findings[check])

    def expect_rule(self, rule: Rule) -> None:
        """Fail the running test if a slate or plan breaks a rule; skip it if there is none to tell by.

        Args:
            rule: of ``check_slates.SLATE_RULES`` or ``planner.PLAN_RULES``, or ``check_novel``.
        """
        if rule in self._breaches:
            _report(self._breaches[rule])

    def _skipped(self, check: str) -> Finding:
        """The finding of what needs a check that did not pass."""
        finding = self.findings[check]
        return Finding(
            check, "skip", finding.message if finding.verdict == "skip" else f"cannot tell before {check} is mended"
        )

    def _examine_slates(self, slates: Recommendations, requests: Requests, name: str) -> None:
        arguments = (slates, requests, self._small.platform, f"agent {name}")
        self._examine({rule: rule for rule in SLATE_RULES}, check_slates.check_form, *arguments)

    def _examine_plan(self, plan: IntArray, requests: Requests, planner: object) -> None:
        platform = self._small.platform
        rules: dict[Rule, Rule] = {rule: rule for rule in PLAN_RULES}
        rules[check_novel] = partial(check_novel, platform)
        arguments = (plan, requests, platform.clusters.num_clusters, f"planner {type(planner).__name__}")
        self._examine(rules, plans.check_form, *arguments)

    def _examine(self, rules: Mapping[Rule, Rule], form: Rule, *arguments: object) -> None:
        """Keep the first breach of each rule."""
        for key, rule in rules.items():
            breach = None if key in self._breaches else _breach(rule, form, *arguments)
            if breach is not None:
                self._breaches[key] = breach

    def _propose(self, exam: Exam) -> None:
        """Let the planner, if the agent has one, plan once more: where a plan breaks a rule, there are no slates."""
        agent: Any = getattr(exam, "agent", None)
        planner = getattr(getattr(agent, "inner", None), "planner", None)
        if planner is None:
            self._breaches |= dict.fromkeys((*PLAN_RULES, check_novel), self._skipped("slates"))
            return
        try:
            plan = planner.propose(exam.requests, exam.rng.at("first").at("planner"))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:  # whatever a planner may raise, SystemExit too; expect("slates") says what
            cannot_tell = Finding("slates", "skip", "cannot tell before propose returns a plan")
            self._breaches |= dict.fromkeys((*PLAN_RULES, check_novel), cannot_tell)
        else:
            self._examine_plan(plan, exam.requests, planner)

    def _pass_days(self, exam: Exam) -> None:
        """Let days pass, and examine the slates of all users on each."""
        if self.findings["slates"].verdict != "pass":
            self.findings["days"] = self._skipped("slates")
            return
        catalog, day = exam.platform.catalog, exam.platform.day
        finding = run_check("days", self._live, exam)
        if finding.verdict == "fail":
            num_new = exam.platform.catalog.num_items - catalog.num_items
            num_gone = int((catalog.alive(day) & ~catalog.alive(exam.platform.day)).sum())
            since = (
                f"since fit {num_new} items were uploaded, {num_gone} expired, and users consumed from more clusters"
            )
            finding = replace(finding, message=f"{finding.message}; on day {exam.platform.day}: {since}")
        self.findings[finding.check] = finding
        self.findings.setdefault("days", self._skipped(finding.check))

    def _live(self, exam: Exam) -> str:
        """Does the agent go on while items are uploaded and expire, and users consume more?"""
        agent: Any = exam.agent
        agent.update(exam.day, _STREAM.at("last day of the log"))
        for requests, slates in lived(self._small, agent, exam.production, _STREAM.at("days"), _DAYS_AFTER):
            self._examine_slates(slates, requests, exam.name)
            validate(slates, requests, exam.platform, exam.name, agent)
            if slates.cluster is not None and hasattr(agent.inner, "planner"):
                self._examine_plan(slates.cluster, requests, agent.inner.planner)
        return f"{_DAYS_AFTER} days after the log"


def contract_platform() -> SmallPlatform:
    """The platform of the contract's tests: user 0 has consumed from all clusters, user 1 from all but two."""
    expiring_days = 1 + _DAYS_AFTER
    small = small_platform(
        successor(_NUM_CLUSTERS),
        days=_DAYS,
        per_day=_PER_DAY,
        leaves=2,
        expiring_days=expiring_days,
        prior_days=_PRIOR_DAYS,
    )
    everything = np.arange(_NUM_CLUSTERS)
    small.records.mark_consumed(np.zeros(_NUM_CLUSTERS, np.int64), everything)
    small.records.mark_consumed(np.ones(_NUM_CLUSTERS - 2, np.int64), everything[2:])
    return small


def check_novel(platform: Platform, plan: IntArray, requests: Requests, num_clusters: int, field: str) -> None:
    """Raise InvalidInput if a user's plan (B, S) holds fewer novel clusters than are left; S are enough."""
    novel = ~platform.consumed_clusters(requests.user)  # (B, M)
    planned = np.take_along_axis(novel, plan, axis=1).sum(axis=1)
    expected = np.minimum(novel.sum(axis=1), requests.num_slots)
    wrong = np.flatnonzero(planned < expected)
    if len(wrong):
        row = wrong[0]
        advice = (
            f"user {requests.user[row]}: {planned[row]} of these clusters are novel and {expected[row]} must be; take "
            "agents.novel_choice.choose_novel and platform.consumed_clusters at every request, or set plans_novel = "
            "False if the planner promises no novelty"
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


def _breach(rule: Rule, form: Rule, *arguments: object) -> Finding | None:
    """How a rule is broken, if it is; a skip if shape and type (``form``) are not even right."""
    message = _broken(form, *arguments)
    if message and rule is not form:
        return Finding("slates", "skip", "cannot tell before shape and type are right")
    try:
        message = message or _broken(rule, *arguments)
    except IndexError:  # novelty is that of existing clusters
        return Finding("slates", "skip", "cannot tell before all clusters exist")
    return Finding("slates", "fail", message) if message else None


def _broken(rule: Rule, *arguments: object) -> str:
    """What a rule says is wrong; empty if nothing is. pytest would add an error that is still being handled."""
    try:
        rule(*arguments)
    except InvalidInput as error:
        return str(error)
    return ""
