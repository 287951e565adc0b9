"""Every model type of the installed transformers, in inference and in training, with two layers.

python benchmarks/transformers_types.py                     # all
python benchmarks/transformers_types.py gemma3 detr         # some
python benchmarks/transformers_types.py --part 3/16         # every sixteenth type, from the third
python benchmarks/transformers_types.py --rows rows.jsonl   # keeps rows in a file, and goes on from there

A type is understood if its step can be weighed and the work of every op is known. Each runs in a process of
its own with bounded time and memory.
"""

import json
import multiprocessing
import resource
import signal
import sys
import warnings
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from report import FOLDER, SAVE, Report
from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.frontend.lower import lower
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.pass_infra.totals import unknown_ops
from steelyard.hw.base.errors import SteelyardError
from steelyard.passes.annotate.work import annotate_work

LAYER_KEYS = {
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth"),
    *("encoder_layers", "decoder_layers", "num_encoder_layers", "num_decoder_layers"),
}
LAYERS = 2
TOKENS = 16
MODES = {"inference": False, "training": True}
LIMIT_S = 60
LIMIT_BYTES = 14 * 2**30

Verdict = str
"""`understood`, `unknown: OPS` or `refused: WHY`."""


@dataclass(frozen=True, slots=True)
class Row:
    """The verdicts on a type."""

    type: str
    inference: Verdict
    training: Verdict

    @property
    def is_understood(self) -> bool:
        return self.inference == self.training == "understood"


def spec_of(model_type: str) -> str:
    """The SPEC of a type with two layers in each of its parts."""
    try:
        config = CONFIG_MAPPING[model_type]()
    except Exception:  # the SPEC says why
        return f"hf:{model_type}"
    query = "&".join(f"{key}={LAYERS}" for key in _layer_keys(config))
    return f"hf:{model_type}?{query}" if query else f"hf:{model_type}"


def _layer_keys(config: PretrainedConfig, prefix: str = "") -> Iterator[str]:
    for key, value in vars(config).items():
        if isinstance(value, PretrainedConfig):
            yield from _layer_keys(value, f"{prefix}{key}.")
        elif key in LAYER_KEYS and isinstance(value, int) and value > LAYERS:
            yield prefix + key


def weigh(model_type: str, train: bool) -> Verdict:
    """The verdict on one step of a type: with two layers, or with all where lists of layers say more."""
    short, refused = spec_of(model_type), ""
    attempts = ((short, TOKENS), (short, None), (f"hf:{model_type}", None))
    for spec, tokens in dict.fromkeys(attempts):
        options = CaptureOptions(train=train, sequence=tokens)
        try:
            program = lower(load_spec(spec, options), options)
        except SteelyardError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            refused = f"refused: {' '.join(why.split())[:300]}{f' at {error.where}' if error.where else ''}"
            continue
        annotate_work(Analyses(program))
        unknown = unknown_ops(program)
        return f"unknown: {', '.join(sorted(unknown))}" if unknown else "understood"
    return refused


def _child(model_type: str, train: bool, sender: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
    warnings.simplefilter("ignore")
    try:
        sender.send(weigh(model_type, train))
    except BaseException as error:
        sender.send(f"refused: {type(error).__name__}: {' '.join(str(error).split())[:300]}")


def apart(model_type: str, train: bool) -> Verdict:
    """The verdict of a process of its own, forked so that imports are done once."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(model_type, train, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        took_long = process.exitcode in (-signal.SIGKILL, -signal.SIGXCPU)
        return f"refused: it takes more than {LIMIT_S} s" if took_long else "refused: its process died"
    finally:
        process.kill()
        process.join()


def _known_rows(path: Path | None) -> dict[str, Row]:
    if path is None or not path.exists():
        return {}
    rows = (Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())
    return {row.type: row for row in rows}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("types", nargs="*")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--rows", type=Path)
    parser.add_argument(SAVE, action="store_true", help=f"write {FOLDER.name}/transformers_types.json")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    chosen = given.types or sorted(CONFIG_MAPPING)[part - 1 :: parts]
    report = Report(
        "transformers_types",
        "Model types of transformers",
        "All types that the installed transformers registers, parts of models included, with two layers "
        "where a field of their configuration says so: one inference and one training step, every op of "
        "known work.",
        {"type": "", **dict.fromkeys(MODES, "")},
    )
    known = _known_rows(given.rows)
    rows: list[Row] = []
    for model_type in chosen:
        row = known.get(model_type) or Row(
            model_type, *(apart(model_type, train) for train in MODES.values())
        )
        rows.append(row)
        if given.rows and model_type not in known:
            with given.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
        report.add(row.type, row.inference, row.training)
    for mode in MODES:
        kinds = Counter(getattr(row, mode).partition(":")[0] for row in rows)
        print(
            f"{mode}: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}", file=sys.stderr
        )
    understood = sum(row.is_understood for row in rows)
    report.finish(f"{understood / len(rows):.1%} of {len(rows)} types in both modes", "90%")


if __name__ == "__main__":
    main()
