"""``python -m experiments.table``."""

from experiments.command import run_command

run_command("table")
