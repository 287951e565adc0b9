"""Normalization over the last dims (layer norm, RMS norm), over a batch, and over groups of channels."""

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Combiner, Flops, IterationSpace
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import ExtentArgument, OpWork

# Of each element: mean and variance take a sum (1) and a sum of squared differences (3), normalizing a
# difference and a product, weight and bias one operation each. Per row there is a division and a root.
STATISTICS = Flops(pointwise=4)
SCALE = Flops(pointwise=2)
PER_ROW = Flops(transcendental=2)
# The gradient: sum(g) and sum(g * xhat) with xhat = (x - mean) * rstd (5), then
# rstd * (g - (sum(g) + xhat * sum(g * xhat)) / n) (5).
SUMS = Flops(pointwise=5)
APPLY = Flops(pointwise=5)


def _given(*values: Value | None) -> list[Value]:
    return [each for each in values if each is not None and each.type.numel]


def _affine(values: list[Value]) -> Flops:
    return Flops(pointwise=len(values))


def _terms(rank: int, normalized: int) -> tuple[str, str, str]:
    """Return the terms of the input, of a value per row (kept dims of extent 1), and of a weight."""
    rows = [f"d{i}" for i in range(rank - normalized)]
    columns = [f"c{i}" for i in range(normalized)]
    return " ".join([*rows, *columns]), " ".join([*rows, *("1" for _ in columns)]), " ".join(columns)


@work("aten.native_layer_norm", "aten.layer_norm", "aten._fused_rms_norm", "aten.rms_norm")
def layer_norm(call: OpCall) -> OpWork:
    """Rows are normalized over the last dims; RMS norm needs no mean."""
    source = call.arg("input")
    out, *per_row = call.outputs
    row, statistic, column = _terms(len(source.type.shape), len(call.properties["normalized_shape"]))
    affine = _given(call.get("weight"), call.get("bias"))
    statistics = Flops(pointwise=2) if "rms" in call.name else STATISTICS
    scale = Flops(pointwise=1) if "rms" in call.name else SCALE
    combine: Combiner = "sum" if "rms" in call.name else "welford"
    columns = column.split()
    main = iteration_space(
        ", ".join([row, *[column] * len(affine)]) + f" -> {row}",
        (source, *affine),
        (out,),
        statistics + scale + _affine(affine),
        reduction=columns,
        combine=combine,
    )
    rows = {dim: extent for dim, extent in main.dims.items() if dim not in columns}
    root = iteration_space(
        "-> " + ", ".join([statistic] * max(len(per_row), 1)), (), per_row or (None,), PER_ROW, sizes=rows
    )
    return OpWork("normalization", (main, root))


@work("aten.native_layer_norm_backward", "aten._fused_rms_norm_backward")
def layer_norm_backward(call: OpCall) -> OpWork:
    """One pass along the rows for the input's gradient, one down the columns for those of weight and bias."""
    grad, source = call.arg("grad_out"), call.arg("input")
    row, statistic, column = _terms(len(source.type.shape), len(call.properties["normalized_shape"]))
    per_row = _given(call.get("mean"), call.get("rstd"))
    weight = _given(call.get("weight"))
    grad_input, *grad_affine = call.masked_outputs()
    spaces: list[IterationSpace] = []
    read = ", ".join([row, row, *[statistic] * len(per_row)])
    if grad_input:
        equation = ", ".join([read, *[column] * len(weight)]) + f" -> {row}"
        flops_per_iteration = SUMS + APPLY + _affine(weight)
        reads = (grad, source, *per_row, *weight)
        spaces.append(
            iteration_space(equation, reads, (grad_input,), flops_per_iteration, reduction=column.split())
        )
    if columns := _given(*grad_affine):
        equation = f"{read} -> {', '.join([column] * len(columns))}"
        spaces.append(iteration_space(equation, (grad, source, *per_row), columns, SUMS))
    return OpWork("normalization", tuple(spaces))


def _channel_terms(value: Value) -> str:
    return " ".join(["n", "c", *(f"x{i}" for i in range(len(value.type.shape) - 2))])


@work(
    "aten.native_batch_norm",
    "aten._native_batch_norm_legit",
    "aten._native_batch_norm_legit_functional",
    "aten._native_batch_norm_legit_no_training",
    "aten._batch_norm_with_update",
    "aten._batch_norm_no_update",
    "aten._batch_norm_with_update_functional",
    "aten.cudnn_batch_norm",
    "aten.miopen_batch_norm",
)
def batch_norm(call: OpCall) -> OpWork:
    """In training the statistics of the batch are taken, used, and mixed into the running ones in place."""
    source = call.get("input") or call.arg("self")
    out, *saved = call.outputs
    whole = _channel_terms(source)
    trains = call.properties.get("training", "with_update" in call.name)
    running = _given(call.get("running_mean"), call.get("running_var"))
    affine = _given(call.get("weight"), call.get("bias"))
    per_channel = [*affine, *([] if trains else running)]
    scale = iteration_space(
        ", ".join([whole, *["c"] * len(per_channel)]) + f" -> {whole}",
        (source, *per_channel),
        (out,),
        SCALE + _affine(affine),
    )
    if not trains:
        return OpWork("normalization", (scale,))
    channels = {"c": source.type.shape[1]}
    kept = [each for each in saved if each.type.shape == (channels["c"],)]
    take = iteration_space(f"{whole} -> c", (source,), (None,), STATISTICS, combine="welford")
    terms = ", ".join(["c"] * len(running))
    results = [*kept, *running] if "functional" not in call.name else kept
    root = iteration_space(
        f"{terms} -> " + ", ".join(["c"] * max(len(results), 1)),
        running,
        results or (None,),
        PER_ROW + Flops(pointwise=3 * len(running)),
        sizes=channels,
    )
    mutates = () if "functional" in call.name else tuple(each.name for each in running)
    return OpWork("normalization", (take, root, scale), mutates=mutates)


@work(
    "aten.native_batch_norm_backward",
    "aten.cudnn_batch_norm_backward",
    "aten.batch_norm_backward",
    "aten.miopen_batch_norm_backward",
)
def batch_norm_backward(call: OpCall) -> OpWork:
    """One pass for the sums over each channel, which the gradients of weight and bias are, one to apply."""
    grad = next(each for name in ("grad_out", "grad_output") if (each := call.get(name)))
    source, weight = call.arg("input"), _given(call.get("weight"))
    masked = "output_mask" in call.properties
    grad_input, *grad_affine = call.masked_outputs() if masked else call.outputs
    whole = _channel_terms(source)
    trains = call.properties.get("train", True)
    names = ("save_mean", "save_invstd", "save_var") if trains else ("running_mean", "running_var")
    per_channel = _given(*(call.get(name) for name in names))
    columns = _given(*grad_affine)
    read = ", ".join([whole, whole, *["c"] * len(per_channel)])
    spaces: list[IterationSpace] = []
    if trains or columns:
        equation = f"{read} -> {', '.join(['c'] * max(len(columns), 1))}"
        spaces.append(iteration_space(equation, (grad, source, *per_channel), columns or (None,), SUMS))
    if grad_input:
        # With fixed statistics the gradient is only scaled; neither the input nor the sums matter.
        values = (grad, source, *per_channel, *weight) if trains else (grad, *per_channel, *weight)
        term = (
            ", ".join([read, *["c"] * len(weight)])
            if trains
            else ", ".join([whole, *["c"] * len(values[1:])])
        )
        flops_per_iteration = APPLY + _affine(weight) if trains else Flops(pointwise=1) + _affine(weight)
        spaces.append(iteration_space(f"{term} -> {whole}", values, (grad_input,), flops_per_iteration))
    return OpWork("normalization", tuple(spaces))


def _group_sizes(call: OpCall, source: Value) -> tuple[str, dict[str, int]]:
    groups = call.properties["group"]
    spatial = [f"x{i}" for i in range(len(source.type.shape) - 2)]
    return " ".join(["n", "g*c", *spatial]), {"g": groups, "c": source.type.shape[1] // groups}


def _group_extents(inner: list[str]) -> tuple[ExtentArgument, ...]:
    channels, *spatial = inner
    named = {"N": ("n",), "C": ("g", channels), "HxW": tuple(spatial), "group": ("g",)}
    return tuple(ExtentArgument(name, (dims,)) for name, dims in named.items())


@work("aten.native_group_norm")
def group_norm(call: OpCall) -> OpWork:
    """Each group of channels of each sample is normalized."""
    source = call.arg("input")
    whole, sizes = _group_sizes(call, source)
    affine = _given(call.get("weight"), call.get("bias"))
    out, *per_group = call.outputs
    inner = [dim for dim in whole.replace("g*c", "c").split() if dim != "n"]
    main = iteration_space(
        ", ".join([whole, *["g*c"] * len(affine)]) + f" -> {whole}",
        (source, *affine),
        (out,),
        STATISTICS + SCALE + _affine(affine),
        sizes=sizes,
        reduction=inner,
        combine="welford",
    )
    root = iteration_space(f"-> {', '.join(['n g'] * len(per_group))}", (), per_group, PER_ROW)
    return OpWork("normalization", (main, root), extents=_group_extents(inner))


@work("aten.native_group_norm_backward")
def group_norm_backward(call: OpCall) -> OpWork:
    """As for layer norm, with the rows being the groups."""
    grad, source = call.arg("grad_out"), call.arg("input")
    whole, sizes = _group_sizes(call, source)
    per_group, weight = [call.arg("mean"), call.arg("rstd")], _given(call.get("weight"))
    grad_input, *grad_affine = call.masked_outputs()
    read = f"{whole}, {whole}, n g, n g"
    spaces: list[IterationSpace] = []
    inner = [dim for dim in whole.replace("g*c", "c").split() if dim != "n"]
    if grad_input:
        equation = ", ".join([read, *["g*c"] * len(weight)]) + f" -> {whole}"
        flops_per_iteration = SUMS + APPLY + _affine(weight)
        reads = (grad, source, *per_group, *weight)
        spaces.append(
            iteration_space(
                equation,
                reads,
                (grad_input,),
                flops_per_iteration,
                sizes=sizes,
                reduction=inner,
            )
        )
    if columns := _given(*grad_affine):
        equation = f"{read} -> {', '.join(['g*c'] * len(columns))}"
        spaces.append(iteration_space(equation, (grad, source, *per_group), columns, SUMS, sizes=sizes))
    return OpWork("normalization", tuple(spaces), extents=_group_extents(inner))
