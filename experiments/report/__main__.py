"""``python -m experiments.report``."""

from experiments.command import run_command

run_command("report")
