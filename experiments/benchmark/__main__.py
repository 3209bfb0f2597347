"""``python -m experiments.benchmark``."""

from experiments.command import run_command

run_command("benchmark")
