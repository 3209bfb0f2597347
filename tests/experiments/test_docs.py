"""The documentation: its site builds, what it links to is there, and each of its commands is one that runs.

Pages that are gone through from beginning to end have tests of their own (``GONE_THROUGH``). Of the others each
command is composed and checked as the command itself would before its first stage; what takes seconds in a small
world is run there (slow).
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

import experiments.paper.command  # noqa: F401  the resolver that its config takes
from experiments.arena.command import check_config as check_arena
from experiments.command import GROUPS, LAUNCHERS
from experiments.dataset.command import check_order
from experiments.interference.command import TRUTH
from experiments.main import COMMANDS
from experiments.offline.command import check_plan
from experiments.several.plan import plan
from experiments.study.study import check_study
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.walk_through import BIN, DOCS

ROOT = DOCS.parent
GONE_THROUGH = ("write-an-agent.md", "wrap-a-policy.md")
STAND_INS = {"FOLDER_OR_HUGGING_FACE_ID": "NAME", "FOLDER": "NAME"}
OWN_ARGUMENTS = ("report", "new-agent", "explain")
"""Commands that take more than overrides."""

SMALL = ("world=tiny", "llm=tiny", "experiment.burn_in_days=2", "experiment.days=2", "llm.steps=2", "llm.eval_pairs=2",
         "llm.precision=fp32", "llm.threads=1", "runtime.workers=1")  # fmt: skip
SMALLER = ("world.num_users=60", "world.num_items=400", "production.epochs=1", "production.update_epochs=1")
"""Of comparisons, of which a page's commands run a dozen."""
RUN = {
    "quick-start.md": ("compare", "report"),
    "interference.md": ("interference",),
    "knowledge.md": ("knowledge",),
    "paper_scale.md": ("table",),
}
"""Pages and which of their commands are run in a small world; the README's are run by its own test."""


def lines_of(page):
    """The commands in a page's blocks that have no language, or are a shell's, without comments."""
    text = page.read_text(encoding="utf-8")
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if language in ("", "sh", "bash"):
            joined = block.replace("\\\n", " ")
            found += [line.split("  #")[0].removeprefix("$ ").strip() for line in joined.splitlines()]
    return found


def commands_of(page):
    """Its ``interestlab`` commands as words."""
    commands = []
    for line in lines_of(page):
        for name, instead in STAND_INS.items():
            line = line.replace(name, instead)
        if line.startswith("interestlab "):
            commands.append(shlex.split(line)[1:])
    return commands


PAGES = [page for page in sorted(DOCS.glob("*.md")) if page.name not in GONE_THROUGH]
ALL = [(page.name, words) for page in PAGES for words in commands_of(page)]


def named(case):
    return " ".join([case[0], *case[1]])


def composed(command, words):
    """The first job's config; of what is swept over, the first value."""
    overrides = [word for word in words if word != "-m" and not word.startswith("--")]
    parsed = OverridesParser.create().parse_overrides(overrides)
    single = []
    for override, word in zip(parsed, overrides, strict=True):
        if override.is_sweep_override():
            first = next(iter(override.sweep_string_iterator()))
            word = f"{override.input_line.partition('=')[0]}={first}"
        if override.key_or_group not in ("hydra/launcher", "hydra.launcher") and not word.startswith("hydra.launcher."):
            single.append(word)
    return compose(command.replace("-", "_"), single)


def test_there_are_commands_to_check():
    assert len(ALL) >= 25
    assert {name for name, _ in ALL} >= {"sweeps.md", "paper.md", "interference.md", "quick-start.md"}


@pytest.mark.slow  # half a second for each of some forty commands
@pytest.mark.parametrize("case", ALL, ids=named)
def test_a_command_is_one_that_would_run(case, tmp_path):
    command, *words = case[1]
    assert command in COMMANDS
    if command == "benchmark":
        command, words = f"benchmark_{words[0]}", words[1:]
    if command in OWN_ARGUMENTS:
        return
    launchers = [word.partition("=")[2] for word in words if word.startswith("hydra/launcher=")]
    assert set(launchers) <= set(LAUNCHERS)
    config = composed(command, [*words, f"cache_dir={tmp_path}"])
    if command in ("compare", "table"):
        check_study(config)
    if command == "offline":
        assert check_plan(config).study.agents
    if command == "paper":
        assert plan(config, tmp_path)
    if command == "dataset":
        check_order(config, tmp_path)
    if command == "interference":
        assert plan(config, tmp_path, "interference", TRUTH)
    if command == "arena":
        assert check_arena(config)


def test_each_group_that_is_named_exists():
    for _, words in ALL:
        for word in words:
            group = word.lstrip("+~").partition("=")[0].partition("@")[0]
            assert group not in GROUPS or (ROOT / "conf" / group).is_dir()


def test_a_report_is_of_what_a_command_above_it_leaves():
    for page in PAGES:
        folders = set()
        for words in commands_of(page):
            sweeps = [word.partition("=")[2] for word in words if word.startswith("hydra.sweep.dir=")]
            sweeps += [f"multirun/{word.partition('=')[2]}" for word in words if word.startswith("+sweep=")]
            if words[0] == "paper":  # a folder for each variant
                sweeps += [f"{word.partition('=')[2]}/main" for word in words if word.startswith("hydra.run.dir=")]
            folders |= set(sweeps)
            if words[0] == "report":
                assert words[1] in folders


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_a_pages_commands_run_in_a_small_world(page, tmp_path, shared_cache, model):
    ran = []
    for words in commands_of(DOCS / page):
        assert words[0] in RUN[page]
        said = [] if words[0] == "report" else [*small(words), f"llm.model={model}", f"cache_dir={shared_cache}"]
        line = [words[0], *[word for word in words[1:] if word.partition("=")[0] not in ("world", "llm")], *said]
        line = line if words[0] != "report" else words
        if set(line) in ran:  # in a small world some of a page's commands are the same
            continue
        ran.append(set(line))
        done = interestlab(*line, cwd=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"
    assert list(tmp_path.glob("**/*.html")) or list(tmp_path.glob("**/table.json"))


def small(words):
    """Overrides that make a command small; an interference of two worlds and two diversions."""
    more = ["interference.seeds=[0,1]", "experiment.arms=[control,hcb]"] if words[0] == "interference" else []
    more += [f"~interference.variants.{name}" for name in ("split", "codiverted")] if words[0] == "interference" else []
    more += ["folds=2", "pairs_per_persona=2", "twin.steps=2"] if words[0] == "knowledge" else []
    more += SMALLER if words[0] in ("compare", "interference") else []
    return [*SMALL, *more]


def test_every_page_is_in_the_sites_contents_and_every_link_leads_somewhere(tmp_path):
    contents = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = re.findall(r"[\w-]+\.md", str(contents))
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))
    command = [str(BIN / "mkdocs"), "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").glob("*.html"))
    assert len(pages) == len(listed) + 1  # and the one for addresses that lead nowhere
    for page in pages:
        fetched = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text(encoding="utf-8")
        )
        assert fetched == []


@pytest.mark.parametrize("path", [Path("README.md"), Path("CONTRIBUTING.md")], ids=str)
def test_what_the_readme_links_to_is_there(path):
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / path).read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists()
