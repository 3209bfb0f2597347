"""Which runs are kept: every command once, in the order in which they are run, with one cache of stages."""

from dataclasses import dataclass

WORLD = ("world=tiny", "world.num_users=60", "world.num_items=400", "production.epochs=1")
DAYS = ("experiment.burn_in_days=3", "experiment.days=2")
MODEL = (
    "llm=tiny", "llm.model={model}", "llm.precision=fp32", "llm.threads=1", "llm.steps=2", "llm.eval_every=1",
    "llm.eval_pairs=4", "llm.warmup_steps=1",
)  # fmt: skip
CACHE = ("cache_dir={cache}", "runtime.workers=1")
STUDY = (*WORLD, *DAYS, *MODEL, *CACHE)


@dataclass(frozen=True)
class Case:
    """A run that is kept.

    Attributes:
        name: of the kept file.
        words: the command and its overrides; ``{cache}``, ``{model}`` and ``{out}`` stand for folders, of which
            ``{out}`` holds a folder for every case.
        keeps: files of the run's folder, as patterns. Of JSON the content is kept but for durations and paths,
            of Parquet and numpy files a digest of each column, of others a digest. ``stdout`` is what was printed.
        folder: where the run leaves them, below its own folder.
    """

    name: str
    words: tuple[str, ...]
    keeps: tuple[str, ...]
    folder: str = ""


CASES = (
    Case(
        "compare",
        ("compare", *STUDY, "experiment.arms=[control,two_tower,hcb,random_novel,llm,oracle]"),
        ("results.json", "log_llm.parquet"),
    ),
    Case(
        "compare_recommenders",
        ("compare", *STUDY,
         "experiment.arms=[control,random,popular,sequence,logistic,reinforce,novelty,phcb,popular_novel,counts,"
         "ease,user_knn,llm_recorded,text_neighbour,"
         "llm_text,llm_best_of_n,persona_oracle]", "experiment.reference=popular"),
        ("results.json",),
    ),
    Case(
        "compare_split",
        ("compare", *STUDY, "experiment.arms=[control,counts]", "experiment.diversion=split",
         "experiment.reference=counts"),
        ("results.json",),
    ),
    Case("table", ("table", *STUDY, "table.parquet=true"), ("table.json", "table.parquet")),
    Case("explain", ("explain", "home espresso", "marathon training", *STUDY), ("explain.json",)),
    Case("dataset", ("dataset", *STUDY), ("summary.json", "dataset/*")),
    Case("dataset_obp", ("dataset", *STUDY, "dataset.export=obp"), ("summary.json", "dataset/*")),
    Case(
        "offline",
        ("offline", *STUDY, "offline.resamples=100", "offline.agents=[popular,counts,sequence,random_novel,llm]"),
        ("offline.json",),
    ),
    Case(
        "arena",
        ("arena", *STUDY, "experiment.arms=[control,popular,random_novel]", "arena.log_days=2", "arena.redraws=4",
         "arena.logging_draws=4", "arena.lucks=2", "arena.sizes=[100,500]", "arena.max_logs=12",
         "arena.learning=true"),
        ("arena.json", "arena.csv"),
    ),
    Case(
        "knowledge",
        ("knowledge", *STUDY, "folds=2", "pairs_per_persona=2", "llm.pairs_per_label=3", "twin.steps=3",
         "twin.eval_every=3", "prior_pairs=16", "svd_rank=4"),
        ("knowledge.json",),
    ),
    Case(
        "paper",
        ("paper", *STUDY, "world.num_users=100", "experiment.days=3", "paper.seeds=[0,1]",
         "~paper.variants.no_dormant_no_satiation", "~paper.variants.alpha_0",
         "paper.variants.main={{experiment.arms: [control, hcb, random_novel, llm, oracle]}}"),
        ("results.json",),
    ),
    Case(
        "interference",
        ("interference", *STUDY, "interference.seeds=[0,1]", "experiment.arms=[control,counts]",
         "experiment.reference=counts"),
        ("interference.json",),
    ),
    Case(
        "sweep",
        ("compare", "-m", *STUDY, "+sweep=slots", "seed=0", "experiment.exploration_slots=1,2",
         "experiment.arms=[control,counts]", "experiment.reference=counts", "hydra.sweep.dir={out}/sweep"),
        ("*/results.json",),
    ),
    Case("report", ("report", "{out}/sweep"), ("dial.json",), "../sweep"),
    Case("tune", ("tune", *STUDY, "agent=hcb", "seeds=[1000,1001]"), ("trial.json",)),
    Case(
        "fit",
        ("fit", "world=tiny", "fit.dataset={out}/dataset/dataset", "fit.days=3", "fit.evaluations=5",
         "fit.search_worlds=1", "fit.worlds=2", "fit.bootstrap=10", "fit.only=[response.leave_intercept]", *CACHE),
        ("fit.json", "world/fitted.yaml"),
    ),
    Case(
        "certify",
        ("certify", "world=tiny", "world.num_users=60", "world.num_items=300", "days=14", "seeds=2", *CACHE),
        ("certificate.json",),
    ),
    Case("portrait", ("portrait", "world=tiny", "world.num_users=60", "days=5", "burn_in_days=2"), ("*.svg",)),
    Case("check_agent", ("check-agent", "agent=counts", "world.num_users=100", "days=2"), ("stdout",)),
    Case("cite", ("cite", "agent=llm"), ("stdout",)),
    Case("new_agent", ("new-agent", "kept_agent"), ("kept_agent/**/*",)),
    Case("new_planner", ("new-agent", "kept_planner", "planner=true"), ("kept_planner/**/*",)),
    Case(
        "benchmark",
        ("benchmark", "simulator", "world.num_users=300", "world.num_items=800", "users=[100]", "items=[900]",
         "interests=[24]", "seconds=0.1"),
        ("benchmark.json",),
    ),
)  # fmt: skip

GROUPS = (
    ("compare", "compare_recommenders", "compare_split", "tune"),
    ("paper",),
    ("interference", "sweep", "report"),
    ("table", "explain", "dataset", "dataset_obp", "offline", "arena", "knowledge", "fit", "certify", "portrait",
     "check_agent", "cite", "new_agent", "new_planner", "benchmark"),
)  # fmt: skip
"""Names of the cases that a process runs one after the other: groups take about as long as each other, and a case that
reads what another left is in its group."""
