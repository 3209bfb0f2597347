"""Does what a document says, in order: writes its files, runs its commands."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.command_line import interestlab

SMALLER = {"burn_in_days=2 experiment.days=2": "burn_in_days=1 experiment.days=1 world.num_users=60 runtime.workers=1"}
"""The same comparison in less time."""

DOCS = Path(__file__).parents[2] / "docs"
BIN = Path(sys.executable).parent


@dataclass
class WalkThrough:
    """A document's blocks, done in a folder as a reader would.

    A block whose first line is a comment with a path is a file; a block without a language is
    commands. ``pip install -e`` is done as an installation into a folder of the test's own; a line that is an
    ``interestlab`` command and nothing else runs without a shell, in a process that has its imports already.
    """

    folder: Path
    cache: Path
    instead: dict[str, str] = field(default_factory=dict)  # what a test must say otherwise, such as a free port
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def site(self) -> Path:
        """Where packages are installed."""
        return self.folder / "site-packages"

    def do(self, document: str, section: str = "") -> None:
        """Go through a document of ``docs``, or one section of it."""
        text = (DOCS / document).read_text(encoding="utf-8")
        if section:
            text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
        for said, instead in self.instead.items():
            assert said in text
            text = text.replace(said, instead)
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
            named = re.match(r"# (\S+\.\w+)\n", block)
            if named:
                path = self.folder / named[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block)
            elif not language:
                for line in block.replace("\\\n", " ").splitlines():
                    self.run(line)

    def run(self, line: str) -> None:
        """Run one command; keep what it printed."""
        if line.startswith("pip install -e "):
            own = f"--no-deps --no-build-isolation --no-index --quiet --target {self.site}"
            line = line.replace("pip install -e", f"{sys.executable} -m pip install {own}")
        environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH")])),
            "INTERESTLAB_CACHE": str(self.cache),
            "OMP_NUM_THREADS": "1",
        }
        command = re.match(r"(?:PYTHONPATH=(\S+) )?interestlab ", line)
        if command:
            environment |= {"PYTHONPATH": command[1]} if command[1] else {}
            words = shlex.split(line[command.end() :].replace("$PWD", str(self.folder)))
            done = interestlab(*words, cwd=self.folder, env=environment)
        else:
            done = subprocess.run(
                ["bash", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        self.outputs[line] = done.stdout
