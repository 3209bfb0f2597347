"""``python -m experiments.explain``."""

from experiments.command import run_command

run_command("explain")
