"""Shard attributes: mesh and shardings in the IR, read by later passes and the runtime."""

from xdsl.dialects.builtin import IntegerAttr, ModuleOp

MESH, PLAN = "shard.mesh", "shard.plan"
"""Of a module: how many ranks there are, and by which strategy they share the work."""

SPLIT, PARTS = "shard.split", "shard.parts"
"""Of an argument: the dim that is cut, -1 if none is, and how many parts of it are cut each, if not 1."""


def mesh_ranks(module: ModuleOp) -> int | None:
    """Number of ranks a program is sharded for; None if it is not sharded."""
    mesh = module.attributes.get(MESH)
    return mesh.value.data if isinstance(mesh, IntegerAttr) else None
