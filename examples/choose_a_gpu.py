"""Choose a GPU: those that a training step fits into, the fastest first."""

import argparse

import steelyard as sy


def main() -> None:
    """Print time, memory and margin of each device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="hf:gpt2")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--devices", nargs="*", default=["t4", "l4", "a10g", "a100-sxm-80gb", "h100-sxm"])
    given = parser.parse_args()

    found = list[tuple[float, str, bool, float]]()
    for name in given.devices:
        try:
            fit = sy.fits(given.model, train=True, batch=given.batch, target=name, devices=1)
            time = sy.annotate(
                given.model, train=True, batch=given.batch, target=name
            ).summary.total.latency_us
        except sy.SteelyardError as error:
            print(f"{name}: {error.what}")
            continue
        found.append((time, name, fit.fits, fit.memory.margin_bytes[0] / 2**30))
    for time, name, fits, margin in sorted(found):
        print(
            f"{name:16}{time / 1e3:10.2f} ms  {'fits' if fits else 'does not fit':14}{margin:8.1f} GiB left"
        )


if __name__ == "__main__":
    main()
