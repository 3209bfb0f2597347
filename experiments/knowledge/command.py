"""``interestlab knowledge``: does a fine-tuned language model know next interests that its data never showed?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from agents.llm.weights import model_digest
from agents.text_encoder import encoder_folder
from experiments.knowledge.contestants import LLM, SCORED, all_scores
from experiments.knowledge.fold import Fold
from experiments.knowledge.folds_stage import facts_of, fold_file, fold_stage
from experiments.knowledge.jobs import RIVALS, Job
from experiments.knowledge.outcome import Marks, differences, estimates, mark
from experiments.knowledge.page import findings, write_knowledge
from experiments.knowledge.protocol import KnowledgeConfig, check_knowledge
from experiments.knowledge.run_jobs import run_jobs
from experiments.knowledge.schema import KnowledgeResults, WorldRow
from experiments.live import pipeline
from experiments.llm.stages import find_weights
from experiments.measures.results import plain
from experiments.stages.stages import Stage
from experiments.study.described import described
from experiments.study.protocol import CONTROL
from experiments.study.study import Study, check_study, resolved
from sim.files import write_json


def check(config: DictConfig) -> tuple[list[Study], KnowledgeConfig]:
    """The study of every alpha, and what is asked there, or ``InvalidInput``."""
    with open_dict(config):
        config.agents = {}
        config.experiment.arms = [CONTROL]
        config.experiment.control = config.experiment.reference = CONTROL
    study = check_study(config)
    knowledge = check_knowledge(resolved(config))
    studies = [replace(study, world=replace(study.world, semantic_alignment=alpha)) for alpha in knowledge.alphas]
    return studies, knowledge


def run_knowledge(config: DictConfig, folder: Path) -> Path:
    """Run the test and write knowledge.json, knowledge.md, knowledge.html and the figure into ``folder``.

    Returns:
        The path of knowledge.html.
    """
    studies, knowledge = check(config)
    encoder_folder()  # so that missing weights are reported before the burn-in
    weights = find_weights(knowledge.models[LLM], studies[0].cache_dir)
    print(cost(knowledge), flush=True)
    jobs = {f"{study.world.semantic_alignment:g}": _jobs(study, knowledge, weights) for study in studies}
    longest_first = sorted((job for each in jobs.values() for job in each), key=lambda job: -job.samples_seen)
    made = run_jobs(longest_first, studies[0].runtime)
    marks = {alpha: _mark(each, knowledge) for alpha, each in jobs.items()}
    worlds = {alpha: _world(alpha, each, marks) for alpha, each in jobs.items()}
    results: KnowledgeResults = {
        "config": described(config, without=("agents",)),
        "worlds": worlds,
        "findings": findings(worlds),
    }
    write_json(folder / "knowledge.json", plain(results))
    write_json(folder / "timings.json", _timings(jobs, made))
    return write_knowledge(results, folder)


def cost(knowledge: KnowledgeConfig) -> str:
    """The cost of the run, in one line."""
    rounds = len(knowledge.alphas) * knowledge.folds
    llm, _, twin = (knowledge.models[name] for name in SCORED)
    return (
        f"knowledge: {len(knowledge.alphas)} worlds x {knowledge.folds} folds, so at most {rounds} fine-tunings of "
        f"{llm.steps} steps of {llm.batch_size} and {rounds} of the twin, {twin.steps} steps of {twin.batch_size}; "
        "what is in the cache is not done again"
    )


def _jobs(study: Study, knowledge: KnowledgeConfig, weights: Path) -> list[Job]:
    """The jobs of one world, after its burn-in, clusters and folds; fold by fold."""
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    folds = fold_stage(study, knowledge, before, clustered)
    digest = model_digest(weights)
    return [
        Job(
            who=who,
            number=number,
            settings=settings,
            svd_rank=knowledge.svd_rank,
            counts_smoothing=knowledge.counts_smoothing,
            weights=weights,
            weights_digest=digest,
            clusters=clustered.folder / "clusters.safetensors",
            folds=folds,
            seed=study.seed,
            cache_dir=study.cache_dir,
        )
        for number in range(knowledge.folds)
        for who, settings in {**knowledge.models, RIVALS: knowledge.models[LLM]}.items()
    ]


def _mark(jobs: list[Job], knowledge: KnowledgeConfig) -> Marks:
    """Every contestant's marks in one world."""
    exams, scores = [], []
    for number in range(knowledge.folds):
        of_fold = {job.who: job for job in jobs if job.number == number}
        exams.append(Fold.load(fold_file(of_fold[RIVALS].folds.folder, number)).exam)
        given = {who: job.scores() for who, job in of_fold.items()}
        of_rivals = given.pop(RIVALS)
        coefficient = knowledge.models[LLM].pmi_coefficient
        scores.append(all_scores(given, of_rivals, coefficient, knowledge.encoder_weight))
    return mark(exams, scores)


def _world(alpha: str, jobs: list[Job], marks: dict[str, Marks]) -> WorldRow:
    """What results say of one world."""
    own = marks[alpha]
    elsewhere = next((m for other, m in marks.items() if other != alpha and m.same_questions(own)), None)
    return {
        "facts": facts_of(jobs[0].folds),
        "contestants": estimates(own),
        "differences": differences(own, elsewhere),
        "training": [job.training() for job in jobs if job.steps],
    }


def _timings(jobs: dict[str, list[Job]], made: dict[Job, Stage]) -> dict[str, Any]:
    names = {job: f"{job.who} alpha={alpha} fold={job.number}" for alpha, each in jobs.items() for job in each}
    return {
        "seconds": {name: round(made[job].seconds, 1) for job, name in names.items()},
        "from_cache": [name for job, name in names.items() if made[job].cached],
    }


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    page = run_knowledge(config, folder)
    print((page.with_name("knowledge.md")).read_text(encoding="utf-8"))
    print(f"knowledge: {page.resolve()}")
