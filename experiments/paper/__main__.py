"""``python -m experiments.paper``."""

from experiments.command import run_command

run_command("paper")
