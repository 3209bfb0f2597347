"""``python -m experiments.knowledge``."""

from experiments.command import run_command

run_command("knowledge")
