"""Ways into Steelyard: how each's input is damaged, and what an accepted one may not say."""

import io
import json
import math
import sqlite3
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from attempt import Case, Check
from edits import damaged, edited, odd_values
from hypothesis import strategies as st

from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.ir.text import format_program, parse_program, read_program
from steelyard.hw.base.errors import SteelyardError
from steelyard.hw.devices.registry import device_names
from steelyard.hw.latency.profile_store import Measurement, ProfileStore
from steelyard.passes.annotate.shard_attributes import mesh_ranks
from steelyard.passes.universe import PASSES
from steelyard.runtime.cli import main as steelyard
from steelyard.runtime.cli import opt
from steelyard.runtime.cli.failures import reported
from steelyard.runtime.execute.launch import predict

Main = Callable[[list[str]], object]

PROGRAMS = [path.read_text() for path in sorted((Path(__file__).parents[1] / "filecheck").glob("*.mlir"))]
DEVICES = [files("steelyard.hw.devices").joinpath(f"{name}.toml").read_text() for name in device_names()]
ANNOTATE = "annotate{device=h100-sxm}"
PIPELINES = [
    *PASSES,
    ANNOTATE,
    *(f"{ANNOTATE},{name}" for name in PASSES),
    *(f"{ANNOTATE},{name}{{budget=0.5}}" for name in ("recompute", "offload")),
    "shard{mesh=2}",
    "shard{mesh=2 strategy=tensor device=cpu}",
    "annotate-latency{device=cpu threads=2 context=graph}",
    f"outline,{ANNOTATE},inline",
]
RULES = """[measured]
executor = "inductor"
alpha = 0.5
""" + "".join(
    f'\n[[pair]]\nfirst = "{first}"\nsecond = "{second}"\nfused = {fused}\nsaved_share = 0.9\nrounds = 9\n'
    for first, second, fused in [("aten.mm", "aten.relu", "true"), ("aten.tanh", "aten.mul.Tensor", "false")]
)
WORK = {
    "kind": "contraction",
    "contraction_flops": 524288,
    "pointwise_flops": 0,
    "transcendental_flops": 0,
    "bytes_read": 32768,
    "bytes_written": 16384,
}
MM = {
    "signature": "aten.mm(f32[64x64], f32[64x64])",
    "dtype": "f32",
    "kind": "gemm",
    "dims": "b=1 m=64 n=64 k=64",
}
TRACE = json.dumps(
    {"model": "m", "device": "t4", "ops": [{**MM, "count": 3, "measured_ms": 2.0, "work": WORK}]}, indent=1
)
TABLES = [
    "kind,dtype,m,n,k,latency_ms\ngemm,f32,128,64,512,0.25\ngemm,bf16,8,128,64,0.02\n",
    "kind,dtype,rows,cols,latency_ms\nsoftmax,f32,128,1024,0.1\nlayer_norm,f32,8,1024,0.02\n",
    "kind,dtype,b,hq,hkv,sq,skv,d,causal,latency_ms\nattention_prefill,bf16,1,16,4,128,128,64,1,0.04\n",
    "kind,dtype,n,c,h,w,o,r,s,stride,pad,groups,direction,latency_ms\nconv2d,f32,2,64,56,56,128,3,3,1,1,1,fwd,3.3\n",
]
GPT2 = "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64"
SPECS = [
    GPT2,
    "hf:llama?num_hidden_layers=1&hidden_size=32&intermediate_size=64&num_attention_heads=4&vocab_size=64",
    "hf:gpt2?n_layer=9&rope_scaling={'type':'linear'}&hidden_act=relu",
    "model.py:make",
    "hf:../x",
    "timm:resnet18",
]
OPTIONS = ["--sequence 8", "--batch 2 --dtype bf16 --device t4", "--train --optimizer sgd --sequence 4"]


@dataclass(frozen=True, slots=True)
class Target:
    """A way in: its command, its inputs, and the check of an accepted one's output."""

    main: Main
    cases: st.SearchStrategy[Case]
    check: Check


def _nothing(output: str) -> None:
    return None


def numbers_are_possible(output: str) -> str | None:
    """The first number of a JSON output that cannot be: negative, infinite, or outside its interval."""
    return _impossible(json.loads(output), "") if output.lstrip().startswith(("{", "[")) else None


def _impossible(node: Any, path: str) -> str | None:
    if isinstance(node, Mapping):
        interval = [node[key] for key in ("low", "value", "high") if isinstance(node.get(key), int | float)]
        if interval != sorted(interval):
            return f"{path} is not low <= value <= high: {interval}"
        signed = ("margin", "spare", "share", "error")
        parts = [(key, each) for key, each in node.items() if not any(word in key for word in signed)]
    elif isinstance(node, Sequence) and not isinstance(node, str):
        parts = list(enumerate(node))
    elif isinstance(node, int | float) and not 0 <= node < math.inf:
        return f"{path} is {node}"
    else:
        return None
    return next((found for key, each in parts if (found := _impossible(each, f"{path}.{key}"))), None)


def reads_back(output: str) -> str | None:
    """The fault of a program that was written: it does not read back, or a latency cannot be."""
    try:
        module = parse_program(output)
    except SteelyardError as error:
        return f"it is not read back: {error}"
    if format_program(parse_program(format_program(module))) != format_program(module):
        return "the program reads back as another"
    for op in module.walk():
        latency = op.attributes.get(LATENCY)
        if isinstance(latency, LatencyAttr):
            found = latency.data
            if not 0 <= found.low_us <= found.value_us <= found.high_us < math.inf:
                return f"{op.name} takes {found.value_us} us of {found.low_us} to {found.high_us}"
    return None


def _file(name: str, texts: Sequence[str]) -> st.SearchStrategy[dict[str, bytes]]:
    return edited(texts).map(lambda text: {name: text.encode("utf-8", "replace")})


def _case(inputs: st.SearchStrategy[dict[str, bytes]], *commands: str) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda found, command: Case(found, tuple(command.split())), inputs, st.sampled_from(commands)
    )


def _read_plan(arguments: list[str]) -> None:
    """What `run` does with a plan before it starts ranks."""
    with reported(["steelyard", "run", *arguments]):
        module = read_program(Path(arguments[0]))
        mesh_ranks(module)
        predict(module, None, 1)


@cache
def _plan() -> str:
    out = io.StringIO()
    Path("good.mlir").write_text((Path(__file__).parents[1] / "filecheck" / "shard.mlir").read_text())
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        opt.main(["good.mlir", "-p", f"{ANNOTATE},shard{{mesh=2}}"])
    return out.getvalue()


@cache
def _profile() -> bytes:
    rows = [
        Measurement(
            device="cpu",
            context="eager",
            threads=1,
            op="aten.mm",
            signature=f"aten.mm(f32[{m}x4], f32[4x4])",
            dtype="f32",
            kind="gemm",
            dims=f"b=1 m={m} n=4 k=4",
            median_s=m * 1e-6,
            min_s=m * 0.9e-6,
            low_s=m * 0.9e-6,
            high_s=m * 1.2e-6,
            repeats=9,
            measured_on="2026-01-01",
            torch_version="2.13.0",
        )
        for m in (1, 2, 4, 8, 16, 32, 64, 128, 256)
    ]
    path = Path("base.sqlite")
    ProfileStore(path).add(rows)
    return path.read_bytes()


@st.composite
def _profiles(draw: st.DrawFn) -> dict[str, bytes]:
    if draw(st.booleans()):
        return {"p.sqlite": draw(damaged(_profile()))}
    Path("p.sqlite").write_bytes(_profile())
    column = draw(
        st.sampled_from(
            ["median_s", "min_s", "low_s", "high_s", "repeats", "threads", "dims", "kind", "dtype"]
        )
    )
    connection = sqlite3.connect("p.sqlite")
    with connection:
        row = draw(st.integers(1, 9))
        connection.execute(
            f"UPDATE OR IGNORE measurement SET {column} = ? WHERE rowid = ?", (draw(odd_values), row)
        )
    connection.close()
    return {"p.sqlite": Path("p.sqlite").read_bytes()}


@cache
def _members() -> dict[str, bytes]:
    import torch

    stream = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(4, 4), (torch.randn(2, 4),)), stream)
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@st.composite
def _archives(draw: st.DrawFn) -> dict[str, bytes]:
    """An exported program of which a member is edited, damaged, renamed, missing or there twice."""
    members = list(_members().items())
    at = draw(st.integers(0, len(members) - 1))
    name, content = members[at]
    match draw(st.sampled_from(["edit", "edit", "damage", "rename", "drop", "twice"])):
        case "edit" if name.endswith(".json"):
            members[at] = name, draw(edited([content.decode()])).encode("utf-8", "replace")
        case "rename":
            members[at] = draw(edited([name])).replace("\x00", "_") or "_", content
        case "drop":
            del members[at]
        case "twice":
            members.append((draw(st.sampled_from([name, name.upper(), f"../{name}"])), content))
        case _ if content:
            members[at] = name, draw(damaged(content))
        case _:
            pass
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return {"m.pt2": stream.getvalue()}


def _annotate_with_profile(arguments: list[str]) -> None:
    for side in Path().glob("p.sqlite-*"):
        side.unlink()
    steelyard(arguments)


def _spec_case(spec: str, options: str) -> Case:
    return Case({}, ("annotate", spec.replace("\x00", ""), *options.replace("\x00", "").split()))


def _opt_case(text: str, passes: str) -> Case:
    return Case({"a.mlir": text.encode("utf-8", "replace")}, ("a.mlir", "-p", passes))


def _devices(verb: str) -> list[str]:
    return [f"{verb} --device {name}" for name in ("cpu", "h100-sxm", "t4", "k80", "mi300x", "tpu-v4")]


def targets() -> dict[str, Target]:
    """Every way in, by name."""
    program = _file("a.mlir", PROGRAMS)
    weigh = [f"{verb} a.mlir --format json" for verb in ("annotate", "fits")]
    device = st.builds(
        lambda found, good: found | {"a.mlir": good.encode()},
        _file("d.toml", DEVICES),
        st.sampled_from(PROGRAMS),
    )
    rules = st.builds(
        lambda found, good: found | {"a.mlir": good.encode()},
        _file("r.toml", [RULES]),
        st.sampled_from(PROGRAMS),
    )
    profile = _profiles().map(lambda found: found | {"a.mlir": PROGRAMS[0].encode()})
    json_of = numbers_are_possible
    return {
        "passes": Target(
            opt.main, st.builds(_opt_case, edited(PROGRAMS), st.sampled_from(PIPELINES)), reads_back
        ),
        "pipelines": Target(
            opt.main, st.builds(_opt_case, st.sampled_from(PROGRAMS), edited(PIPELINES)), reads_back
        ),
        "programs": Target(
            steelyard, _case(program, *(each for verb in weigh for each in _devices(verb))), json_of
        ),
        "plans": Target(_read_plan, _case(_file("plan.mlir", [_plan()]), "plan.mlir"), _nothing),
        "devices": Target(steelyard, _case(device, "annotate a.mlir --device d.toml --format json"), json_of),
        "rules": Target(
            steelyard, _case(rules, "annotate a.mlir --fusion-rules r.toml --format json"), json_of
        ),
        "traces": Target(
            steelyard,
            _case(_file("t.json", [TRACE]), "transfer t.json --from t4 --to l4 --format json"),
            json_of,
        ),
        "tables": Target(
            steelyard, _case(_file("t.csv", TABLES), *_devices("predict t.csv --format json")), json_of
        ),
        "calibrations": Target(
            steelyard, _case(_file("t.csv", TABLES), *_devices("calibrate --from t.csv -o d.toml")), _nothing
        ),
        "profiles": Target(_annotate_with_profile, _case(profile, "annotate a.mlir --format json"), json_of),
        "archives": Target(steelyard, _case(_archives(), "annotate m.pt2 --format json"), json_of),
        "specs": Target(
            steelyard,
            st.builds(_spec_case, st.just(GPT2) | edited(SPECS), st.sampled_from(OPTIONS) | edited(OPTIONS)),
            _nothing,
        ),
    }
