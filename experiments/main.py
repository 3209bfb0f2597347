"""``interestlab COMMAND [overrides]``: the same as ``python -m experiments.COMMAND``."""

import sys
from importlib import import_module

COMMANDS = {
    "compare": "an A/B comparison of recommenders, from burn-in to report.html",
    "paper": "the paper's figures and claims over several worlds, with their controls",
    "table": "the language model's table alone: filled, shared between machines, refreshed, exported",
    "report": "comparisons in several worlds, joined into one table, figure and page",
    "tune": "what one setting of an agent is worth on tuning worlds; with -m, a search",
    "new-agent": "a package with an agent of your own, which works and waits to be changed",
    "check-agent": "whether an agent keeps the contract: what is wrong, and how to mend it",
    "explain": "what planners say should follow on two interests, side by side, and what is true",
    "knowledge": "whether a fine-tuned language model knows next interests that its log never showed",
    "interference": "what live experiments would have estimated, beside what is true: split, shared data, co-diverted",
    "dataset": "logged data sets from and to KuaiRand, KuaiRec, MIND, MovieLens, Open Bandit, obp, Minari, Parquet",
    "offline": "which item, cluster, new cluster next? agents asked about the last days of a log",
    "fit": "a world's constants fitted to a log of yours, and how close that comes",
    "arena": "what off-policy estimators say of agents from logs, beside what is true of them",
    "certify": "which of eleven stylised facts of real platforms a world shows",
    "benchmark": "how fast the simulator is, as ratios measured side by side",
    "portrait": "one simulated person's interest tree over time, and the population, as figures",
}


def main() -> None:
    """Dispatch to a command; the console script ``interestlab``."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: interestlab COMMAND [overrides]; interestlab COMMAND --help\n\ncommands:")
        for command, title in COMMANDS.items():
            print(f"  {command:12} {title}")
        return
    command = arguments[0]
    if command not in COMMANDS:
        print(f"interestlab: unknown command {command!r}; known are {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    sys.argv = [f"interestlab {command}", *arguments[1:]]
    import_module(f"experiments.{command.replace('-', '_')}").main()


if __name__ == "__main__":
    main()
