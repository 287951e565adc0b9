"""Ops that do the same at each element of the result, with their operands broadcast to it."""

from collections.abc import Sequence
from dataclasses import replace

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops, IterationSpace
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork, Summand

# Operations at each element: pointwise, transcendental. Additions, multiplications, comparisons, choices and
# bit operations are pointwise; division, roots, exp, log, tanh, erf and the like are transcendental.
# Composite ops are counted by their defining formula, e.g. sigmoid = 1 / (1 + exp(-x)).
_PER_ELEMENT: dict[tuple[int, int], str] = {
    (0, 0): "complex",
    (1, 0): (
        "mul neg abs sign sgn ceil floor round trunc frac relu square eq ne lt le gt ge maximum minimum fmax"
        " fmin where clamp_min clamp_max logical_not logical_and logical_or logical_xor bitwise_not"
        " bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift isnan isinf"
        " signbit isposinf isneginf masked_fill threshold threshold_backward copysign nextafter heaviside"
        " __and__ __or__ __xor__"
        " __lshift__ __rshift__ _masked_scale softshrink_backward hardshrink_backward ldexp frexp gcd lcm"
        " rrelu_with_noise rrelu_with_noise_backward deg2rad rad2deg"
    ),
    (2, 0): (
        "clamp hardtanh relu6 leaky_relu leaky_relu_backward hardtanh_backward nan_to_num isfinite"
        " native_dropout_backward _prelu_kernel"
    ),
    (3, 0): (
        "lerp addcmul hardsigmoid_backward hardshrink softshrink _prelu_kernel_backward tanh_backward"
        " sigmoid_backward"
    ),
    (4, 0): "hardsigmoid logit_backward",
    (5, 0): "hardswish hardswish_backward fake_quantize_per_tensor_affine_cachemask",
    (0, 1): (
        "div true_divide reciprocal sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos"
        " atan"
        " sinh cosh tanh asinh acosh atanh erf erfc erfinv lgamma digamma pow float_power atan2 hypot i0 sinc"
        " remainder fmod floor_divide special_entr special_erfcx special_i0e special_i1 special_i1e"
        " special_log_ndtr special_ndtri special_zeta polygamma mvlgamma igamma igammac angle poisson"
        " special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1"
        " special_chebyshev_polynomial_t special_chebyshev_polynomial_u special_chebyshev_polynomial_v"
        " special_chebyshev_polynomial_w special_hermite_polynomial_h special_hermite_polynomial_he"
        " special_laguerre_polynomial_l special_legendre_polynomial_p special_modified_bessel_i0"
        " special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1"
        " special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1"
        " special_shifted_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_u"
        " special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w"
        " special_spherical_bessel_j0"
    ),
    (1, 1): "xlogy special_xlog1py",
    (1, 2): "logit",
    (1, 3): "mish",
    (2, 1): "addcdiv",
    (2, 2): "sigmoid silu polar",
    (2, 3): "softplus",
    (3, 1): "elu celu selu elu_backward",
    (4, 1): "gelu",
    (4, 2): "log_sigmoid_forward softplus_backward",
    (5, 2): "logaddexp logaddexp2 log_sigmoid_backward",
    (7, 2): "silu_backward",
    (7, 3): "mish_backward",
    (9, 2): "gelu_backward",
}
_TANH_FORM = {
    "gelu": Flops(pointwise=8, transcendental=1),
    "gelu_backward": Flops(pointwise=17, transcendental=1),
}
FLOPS_PER_ELEMENT = {
    name: Flops(pointwise=each[0], transcendental=each[1])
    for each, names in _PER_ELEMENT.items()
    for name in names.split()
}


def elementwise(
    reads: Sequence[Value], writes: Sequence[Value], flops_per_iteration: Flops, prefix: str = "d"
) -> IterationSpace:
    """Return the iteration space that goes once over `writes`, or over `reads` where nothing is written.

    Args:
        reads: The tensors read, of shapes that broadcast to that of what is written.
        writes: The tensors written, all of one shape.
        flops_per_iteration: The operations at each element.
        prefix: What the names of the dims begin with.
    """
    rank = max((len(value.type.shape) for value in (*reads, *writes)), default=0)
    names = [f"{prefix}{i}" for i in range(rank)]
    terms = [" ".join(names[rank - len(value.type.shape) :]) for value in (*reads, *writes)]
    equation = f"{', '.join(terms[: len(reads)])} -> {', '.join(terms[len(reads) :])}"
    return iteration_space(equation, reads, writes, flops_per_iteration)


def pointwise(call: OpCall, flops_per_iteration: Flops) -> OpWork:
    """Return the work of a call that treats each element of its results alike."""
    return OpWork("pointwise", (elementwise(tuple(call.tensors), call.outputs, flops_per_iteration),))


def _sum(call: OpCall) -> OpWork:
    # self + alpha * other: the product costs nothing where alpha is 1.
    scaled = call.properties.get("alpha", 1) != 1
    work = pointwise(call, Flops(pointwise=1 + scaled))
    if call.get("other") is None:  # a number
        return work
    return replace(work, summands=(Summand(("self",)), Summand(("other",), "alpha")))


def _power(call: OpCall) -> OpWork:
    # Small whole exponents are multiplied out, a square root is one root.
    exponent = call.properties.get("exponent")
    if exponent in (2, 3):
        return pointwise(call, Flops(pointwise=int(exponent) - 1))
    return pointwise(call, Flops(transcendental=1))


def _product(call: OpCall) -> OpWork:
    # Of complex numbers four products and two sums, where a sum is two.
    is_complex = all(value.type.dtype.startswith("c") for value in call.tensors)
    return pointwise(call, Flops(pointwise=3 if is_complex else 1))


def _declare(name: str, flops_per_iteration: Flops) -> None:
    tanh_form = _TANH_FORM.get(name)

    def rule(call: OpCall) -> OpWork:
        is_tanh = tanh_form and call.properties.get("approximate") == "tanh"
        return pointwise(call, tanh_form if tanh_form and is_tanh else flops_per_iteration)

    register(f"aten.{name}", rule)


for _name, _flops in FLOPS_PER_ELEMENT.items():
    _declare(_name, _flops)
for _name in ("add", "sub", "rsub"):
    register(f"aten.{_name}", _sum)
register("aten.pow", _power)
register("aten.mul", _product)
