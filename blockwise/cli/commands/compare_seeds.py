"""The comparison under several seeds: a run for each in a folder of its own, put together at the end."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from blockwise import report
from blockwise.cli.commands.train import trained
from blockwise.cli.progress import ConsoleWatcher
from blockwise.cli.seeds import print_seeds, text
from blockwise.experiment import named_files
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.config import Config
from blockwise.experiment.finished import RESULT_FILE, SEEDS_FILE, finished_run
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import Result
from blockwise.experiment.seeds import over_seeds
from blockwise.models import INITS, is_own
from blockwise.report.drawing import Drawing
from blockwise.system import exit_codes
from blockwise.system.collector import looking_seldom
from blockwise.system.files import WriteError, atomic_write
from blockwise.system.streams import tell_then_write
from devices.errors import InputError


def compare_seeds(config: Config) -> int:
    """Train what is not finished, tell and write; returns the exit code."""
    with looking_seldom():
        seed = config.output.seeds[0]
        begun = config.output.resume and config.output.resume / _name(seed)
        prepare(_of_seed(config, seed, begun))  # or refuse it
    where = config.output.resume or config.output.out
    if where is not None:
        _check_runs(config, {seed: where / _name(seed) for seed in config.output.seeds})
    out = outfolder.prepare(config)
    with outfolder.only_command(out):
        return _compare_in(out, config)


def _compare_in(out: Path, config: Config) -> int:
    folders = {seed: out / _name(seed) for seed in config.output.seeds}
    try:
        results = _results(config, folders)
        found = over_seeds(results, [folder.name for folder in folders.values()])
        write, output = partial(atomic_write, out / SEEDS_FILE, text(found)), config.output
        tell = partial(print_seeds, results[0], found, as_json=output.json, quiet=output.quiet)
        tell_then_write(tell, write)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"go on with --resume {out}") from stop
    except WriteError as error:
        raise error.before(f"go on with --resume {out}") from error
    return exit_codes.of(fits=results[0].fits, diverged=found.diverged)


def _name(seed: int) -> str:
    return f"seed-{seed}"


def _check_runs(config: Config, folders: dict[int, Path]) -> None:
    """Raise InputError where the run that lies in a folder is none that this command has begun."""
    for seed, folder in folders.items():
        if not any((folder / name).exists() for name in (outfolder.CONFIG_FILE, RESULT_FILE)):
            continue
        if config.output.resume is None:
            raise InputError(
                f"--out {folder.parent}", got=f"a folder that holds a run in {folder.name}",
                wanted="a new or empty one", do="use another",
            )  # fmt: skip
        saved = outfolder.saved_config(folder)
        if changed := outfolder.changed(_of_seed(config, seed, folder), saved):
            raise InputError(
                f"--resume {folder.parent}",
                got=f"another {outfolder.as_flag(changed[0])} than {folder.name} in it has",
                wanted="runs of one configuration", do=f"move {folder} away, and it is trained anew",
            )  # fmt: skip


def _results(config: Config, folders: dict[int, Path]) -> list[Result]:
    left = [seed for seed, folder in folders.items() if not (folder / RESULT_FILE).exists()]
    if named_files.digests(config) or is_own(config.network.model) or config.network.init not in INITS:
        _keep_all(config, {seed: folders[seed] for seed in left})
    stderr = report.make_console(stderr=True)
    with ConsoleWatcher(stderr, config.training.epochs, rounds=len(left)) as watcher:
        for number, seed in enumerate(left):
            if not config.output.quiet:
                stderr.print(f"seed {seed}: {number + 1} of {len(left)}")
            prepared, out = _begun(_of_seed(config, seed, folders[seed]))
            drawing = Drawing()
            result = trained(prepared, out, stderr, watcher, drawing, plan=not number)
            report.write_all(report.named(result, arenas=config.output.arena_csv), out, drawing)
    return [finished_run(folder) for folder in folders.values()]


def _keep_all(config: Config, folders: dict[int, Path]) -> None:
    """Begin all runs: what a file or a folder gives them may be another one before the last is trained."""
    for seed, folder in folders.items():
        of_seed = _of_seed(config, seed, folder)
        if of_seed.output.resume is None:
            _begun(of_seed)


def _begun(of_seed: Config) -> tuple[Prepared, Path]:
    """What a run trains, and its folder, which keeps what no name builds."""
    prepared = prepare(of_seed)
    return prepared, outfolder.prepare(of_seed, prepared)


def _of_seed(config: Config, seed: int, folder: Path | None) -> Config:
    """The configuration of one run, which goes on if it was begun; without a folder of one to come."""
    begun = folder is not None and (folder / outfolder.CONFIG_FILE).exists()
    resumed, made = (folder, None) if begun else (None, folder)
    output = replace(config.output, seeds=(), resume=resumed, out=made)
    return replace(config, training=replace(config.training, seed=seed), output=output)
