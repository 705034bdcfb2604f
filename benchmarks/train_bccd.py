"""Everything that happens to a model on real pictures, on the CPU, accidents included.

    python benchmarks/train_bccd.py path/to/BCCD --check     # about seven minutes on two cores
    python benchmarks/train_bccd.py path/to/BCCD --quick     # tiny pictures, learns nothing

Takes any Pascal VOC folder. Nothing is fetched: training starts from random weights. Three
processes take part, one after the other, as three notebook kernels would:

1. The first starts the training, stops it, resumes it, and is killed with SIGKILL meanwhile.
2. The second finds the run still going. Then the process that trains is killed with
   SIGKILL, too; the run is resumed from its last good checkpoint and comes to its end.
3. The one that was called, which has imported and split the dataset before and knows nothing
   of the run, activates the model, evaluates it on val and test beside Ultralytics' ``val``,
   exports it to ONNX and compares what both formats predict.

Each step prints one line with what was found. With ``--check`` the exit status is 1 where
something did not hold. A run has several epochs also with ``--quick``: it is to be stopped,
killed and resumed in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.evaluation import DECIMALS, paired_numbers  # noqa: E402
from benchmarks.train_bccd_session import (  # noqa: E402
    DATASET,
    Session,
    holds_best_weights,
    in_words,
    process_of,
    reach,
)
from workbench import import_dataset  # noqa: E402
from workbench.datasets.splits import SplitPlanner  # noqa: E402
from workbench.errors import TrainingError  # noqa: E402
from workbench.evaluation.evaluator import Evaluator  # noqa: E402
from workbench.labelling.predictor import Predictor  # noqa: E402
from workbench.persistence.models import SPLITS  # noqa: E402
from workbench.training.environment import import_ultralytics  # noqa: E402
from workbench.training.events import (  # noqa: E402
    BatchFinished,
    EpochFinished,
    EpochStarted,
    Started,
)
from workbench.training.exporting import export_model  # noqa: E402
from workbench.training.runner import TrainingRunner  # noqa: E402

RATIOS = {"train": 0.7, "val": 0.15, "test": 0.15}
LEAST_MAP50 = 0.5  # far above what luck gives, and below what a few epochs from nothing reach
MOST_OFF_RATIO = 0.03  # of a class's boxes: images are dealt out whole, each with many boxes


# --- before: the dataset


async def bring_in(session: Session, voc: Path) -> None:
    """Import the folder, and deal the images out anew."""
    stores = session.stores
    with session.step("import") as step:
        info = await import_dataset(stores, voc, name=DATASET)
        table = await stores.label.load_all(DATASET)
        pictures = sum(1 for _ in (voc / "JPEGImages").iterdir())
        step.say(f"{sum(info.num_images.values())} images {info.num_images}")
        step.say(f"{len(table)} boxes of {', '.join(info.classes)}; {len(info.notes)} notes")
        step.expect(
            sum(info.num_images.values()) == pictures, f"all {pictures} pictures are imported"
        )
        step.expect(not table.problems, "every label file can be read")
    with session.step("stratified split") as step:
        plan = await SplitPlanner(stores).plan(DATASET, RATIOS)
        await plan.apply()
        counts = (await stores.dataset.get(DATASET)).num_images
        step.say(f"{len(plan.moves)} images moved, now {counts}")
        shares = plan.after.boxes / plan.after.boxes.sum(axis=0)
        for name, column in zip(info.classes, shares.T, strict=True):
            step.say(f"{name} {' / '.join(f'{share:.1%}' for share in column)}")
            wanted = [RATIOS[split] for split in SPLITS]
            off = max(abs(has - want) for has, want in zip(column, wanted, strict=True))
            step.expect(off <= MOST_OFF_RATIO, f"boxes of {name} follow the ratios {RATIOS}")


# --- the first kernel


def first_kernel(session: Session, parent: Connection) -> None:
    """Be the process that starts the run; never come to an end."""
    asyncio.run(_first_kernel(session, parent))


async def _first_kernel(session: Session, parent: Connection) -> None:
    stores = session.stores
    runner = TrainingRunner(stores, session.runs_dir)
    with session.step("train") as step:
        run = await runner.start(session.config)
        await reach(run, EpochStarted, epoch=2)
        step.say(f"run {run.id} on {run.read_progress().device}, worker {process_of(run).pid}")
        step.say(f"{run.job.num_images['train']} images to train on at {session.image_size} px")
        step.say(f"epoch 1 of {session.epochs}: {in_words(run.read_progress().history[0].metrics)}")
        step.expect(
            run.read_progress().state == "running",
            f"the run is running, not {run.read_progress().state}",
        )
    with session.step("stop") as step:
        begin = time.perf_counter()
        await run.stop()
        progress = await run.wait()
        step.say(f"stopped and registered {time.perf_counter() - begin:.1f} s after it was asked")
        step.say(f"{progress.epochs_completed} epochs completed, {in_words(progress.metrics)}")
        step.expect(progress.state == "stopped", f"the run is stopped, not {progress.state}")
        [model] = await stores.model.list()
        step.say(f"model {model.name} in the store")
        step.expect(holds_best_weights(run, model), "its weights are the best of the run")
        step.expect(model.is_active, "the model is active")
        step.expect(run.is_resumable(), "the run can be resumed")
    with session.step("resume") as step:
        done = progress.epochs_completed
        await run.resume()
        await reach(run, EpochFinished, epoch=done + 1, attempt=2)
        step.say(f"{run.read_progress().note.partition('. ')[0]}")
        step.say(f"epoch {done + 1}: {in_words(run.read_progress().history[done].metrics)}")
        step.expect(
            run.read_progress().note.startswith(f"Goes on after epoch {done}"), "it goes on"
        )
    await reach(run, BatchFinished, epoch=done + 2, attempt=2)
    parent.send((run.id, process_of(run).pid, done + 2))
    await run.wait()
    raise AssertionError("the run was over before this process was killed")


def kill_first_kernel(session: Session) -> float:
    """Let the first kernel work until the run is in the middle; kill it; return when."""
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    kernel = context.Process(target=first_kernel, args=(session, there))
    kernel.start()
    there.close()
    try:
        run_id, worker, epoch = here.recv()
    except EOFError:
        kernel.join()
        raise SystemExit(f"the first kernel ended with {kernel.exitcode}") from None
    with session.step("kill the kernel") as step:
        assert kernel.pid is not None
        os.kill(kernel.pid, signal.SIGKILL)
        kernel.join()
        step.say(f"process {kernel.pid}, which had started run {run_id}, got SIGKILL in epoch")
        step.found[-1] += f" {epoch}; worker {worker}"
        step.expect(kernel.exitcode == -signal.SIGKILL, f"it was killed: {kernel.exitcode}")
    return time.time()


# --- the second kernel


def second_kernel(session: Session, killed_at: float) -> None:
    """Find the run, lose its worker, and bring it to its end."""
    asyncio.run(_second_kernel(session, killed_at))


async def _second_kernel(session: Session, killed_at: float) -> None:
    stores = session.stores
    with session.step("reattach") as step:
        [run] = await TrainingRunner(stores, session.runs_dir).list_runs()
        state, record = run.read_progress().state, process_of(run)
        step.say(f"process {os.getpid()} found run {run.id}: {state}, worker {record.pid}")
        epoch = run.read_progress().epoch
        ended = await reach(run, EpochFinished, epoch=epoch, attempt=2)
        step.say(f"epoch {epoch} ended {ended.time - killed_at:.1f} s after the kernel's death")
        step.expect(state == "running", f"the run is running, not {state}")
        step.expect(ended.time > killed_at, "the run went on without the kernel")
        step.expect(process_of(run) == record, "by the same process")
        step.expect(run.read_progress().attempt == 2, "without being resumed")
    with session.step("kill the worker") as step:
        await reach(run, BatchFinished, epoch=epoch + 1, attempt=2)
        os.kill(record.pid, signal.SIGKILL)
        try:
            await run.wait()
            step.expect(False, "waiting for a killed run is an error")
        except TrainingError as error:
            step.say(f"worker {record.pid} got SIGKILL in epoch {epoch + 1}")
            step.say(str(error).partition(";")[0])
        progress = run.read_progress()
        step.expect(progress.failure_kind == "killed", f"a kill, not {progress.failure_kind!r}")
        step.expect(run.is_resumable(), "the run can be resumed")
        step.expect(len(await stores.model.list()) == 1, "nothing half-trained is in the store")
    with session.step("resume to the end") as step:
        done = progress.epochs_completed
        await run.resume()
        started = await reach(run, Started, attempt=3)
        step.say(f"goes on after epoch {started.epochs_done}")
        step.expect(started.epochs_done == done, f"it goes on after epoch {done}")
        progress = await run.wait()
        step.say(f"{progress.state} with {progress.epochs_completed} epochs")
        step.say(in_words(progress.metrics))
        step.expect(progress.state == "finished", f"the run is finished, not {progress.state}")
        epochs = [one.epoch for one in progress.history]
        step.expect(epochs == list(range(1, session.epochs + 1)), f"every epoch once: {epochs}")
    for one in progress.history:
        print(f"       epoch {one.epoch}: {in_words(one.metrics)}, {one.seconds:.0f} s")
    with session.step("register") as step:
        names = [model.name for model in await stores.model.list()]
        model = await stores.model.get(run.read_model_name() or "")
        step.say(f"{model.name} beside {', '.join(set(names) - {model.name})}")
        step.say(f"{model.epochs_completed} epochs from {model.base_model}")
        step.say(f"classes {', '.join(model.class_names)}; {in_words(model.metrics)}")
        step.expect(len(names) == 2, f"two models are in the store: {names}")
        step.expect(model.details["run_id"] == run.id, "the model names the run it came of")
        step.expect(holds_best_weights(run, model), "its weights are the best of the run")


# --- the third: what the model is good for


async def use(session: Session) -> None:
    """Activate, evaluate and export the model."""
    stores = session.stores
    with session.step("activate") as step:
        models = sorted(await stores.model.list(), key=lambda model: model.epochs_completed)
        for model in models:
            await stores.model.set_active(model.name)
            active = await stores.model.get_active()
            step.expect(active is not None and active.name == model.name, f"{model.name} is active")
        step.say(f"{models[0].name}, then {models[-1].name}")
    name = models[-1].name
    predictor = Predictor(stores, device="cpu")
    evaluator = Evaluator(stores, predictor)
    data = await stores.dataset.snapshot(DATASET, session.folder / "view", labelled_only=True)
    for split in ("val", "test"):
        with session.step(f"evaluate on {split}") as step:
            evaluation = await evaluator.evaluate(DATASET, split)
            theirs = await asyncio.to_thread(
                validate, await stores.model.load(name), data.data_yaml, split, session.folder
            )
            numbers = paired_numbers(evaluation.metrics, theirs)
            step.say(f"{evaluation.metrics.images} images, {evaluation.metrics.labels} labels")
            step.say("ours/Ultralytics")
            step.found.extend(f"{key} {a:.4f}/{b:.4f}" for key, (a, b) in numbers.items())
            apart = {key: abs(a - b) for key, (a, b) in numbers.items()}
            step.say(f"at most {max(apart.values()):.1e} apart")
            for key, difference in apart.items():
                step.expect(difference < DECIMALS, f"{key} is Ultralytics' number")
            step.expect(evaluation.model == name, f"{name} was evaluated, as the active model")
            if not session.quick:
                learned = evaluation.metrics.map50 >= LEAST_MAP50
                step.expect(learned, f"mAP50 is {LEAST_MAP50} or more")
    predictor.close()
    with session.step("export to ONNX") as step:
        pictures = [image.path for image in await stores.image.list(DATASET, split="test")]
        result = await export_model(stores, name, session.folder / "exported", images=pictures)
        check = result.check
        step.say(f"{result.path.name}, {result.size_bytes / 1e6:.1f} MB, {result.image_size} px")
        step.say(f"on {check.images} images of test: {check.boxes} boxes, {check.unmatched} found")
        step.found[-1] += " by one format only"
        step.say(f"edges at most {check.max_offset:.2g} px apart")
        step.say(f"confidences at most {check.max_confidence_difference:.2g}")
        step.expect(check.agrees, "the exported model predicts the same")
        step.expect(check.boxes > 0 or session.quick, "there is something to compare")
        step.expect(check.images == len(pictures), f"compared on all {len(pictures)} images")


def validate(weights: Path, data_yaml: Path, split: str, folder: Path) -> Any:
    """Return what Ultralytics' own validation says."""
    model = import_ultralytics().YOLO(str(weights))
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    return model.val(
        data=str(data_yaml),
        split=split,
        device="cpu",
        plots=False,
        verbose=False,
        project=str(folder / "val"),
    )


def main() -> int:
    """Go through everything; return the exit status."""
    options = _options()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="workbench-training-") as name:
        session = Session(Path(name), options.epochs, options.imgsz, options.quick)
        try:
            asyncio.run(bring_in(session, options.voc))
            killed_at = kill_first_kernel(session)
            kernel = get_context("spawn").Process(target=second_kernel, args=(session, killed_at))
            kernel.start()
            kernel.join()
            if kernel.exitcode:
                raise SystemExit(f"the second kernel ended with {kernel.exitcode}")
            asyncio.run(use(session))
        finally:
            asyncio.run(_end_all(session))
        failures = session.failures
    print(f"{time.perf_counter() - begin:.0f} s, {len(failures)} things did not hold")
    return 1 if options.check and failures else 0


async def _end_all(session: Session) -> None:
    for run in await TrainingRunner(session.stores, session.runs_dir).list_runs():
        await run.cancel()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("voc", type=Path, help="a Pascal VOC folder")
    parser.add_argument("--epochs", type=int, default=14, help="at least 6")
    parser.add_argument("--imgsz", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="a fifth of the images, at 64 px")
    parser.add_argument("--check", action="store_true", help="exit 1 where something did not hold")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.imgsz = 20, 64
    if options.epochs < 6:
        parser.error(f"--epochs: expected at least 6, found {options.epochs}")
    return options


if __name__ == "__main__":
    sys.exit(main())
