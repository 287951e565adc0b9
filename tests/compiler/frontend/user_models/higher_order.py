"""Models with higher-order operators."""

import torch
from torch import nn
from torch._higher_order_ops import associative_scan, scan, while_loop
from torch._higher_order_ops.map import map as torch_map
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

compiled_flex_attention = torch.compile(flex_attention)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)


class Cond(Two):
    def forward(self, x):
        y, z = torch.cond(x.sum() > 0, lambda t: (self.a(t), t), lambda t: (self.b(t).sin(), t * 2), (x,))
        return y + z


class Map(Two):
    def forward(self, x):
        return torch_map(lambda row: self.a(row).relu(), x)


class Scan(Two):
    def forward(self, x):
        def step(state, row):
            state = torch.tanh(self.a(row) + self.b(state))
            return state, state.clone()

        return scan(step, torch.zeros(8), x, dim=0)[1]


class WhileLoop(Two):
    def forward(self, x):
        return while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, self.b(self.a(y))), (torch.tensor(0), x))[
            1
        ]


class AssociativeScan(Two):
    def forward(self, x):
        return associative_scan(lambda a, b: a * b, self.b(self.a(x)).sigmoid(), 0, combine_mode="generic")


class Checkpoint(Two):
    def forward(self, x):
        x = checkpoint(self.a, x, use_reentrant=False)
        return checkpoint_sequential(nn.Sequential(self.a, self.b), 2, x, use_reentrant=False)


class Flex(nn.Module):
    def __init__(self, *, compiled: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.bias = nn.Parameter(torch.zeros(2))
        self.attention = compiled_flex_attention if compiled else flex_attention

    def forward(self, x):
        q, k, v = self.qkv(x).view(2, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, 16, 16, device="cpu")
        y = self.attention(q, k, v, block_mask=mask)
        return self.attention(y, k, v, score_mod=lambda score, b, h, i, j: score + self.bias[h])


def cond():
    return Cond(), torch.randn(3, 8)


def mapped():
    return Map(), torch.randn(3, 8)


def scanned():
    return Scan(), torch.randn(3, 8)


def loop():
    return WhileLoop(), torch.randn(3, 8)


def associative():
    return AssociativeScan(), torch.randn(4, 8)


def checkpointed():
    return Checkpoint(), torch.randn(3, 8)


def flex():
    return Flex(compiled=False), torch.randn(2, 16, 8)


def compiled_flex():
    return Flex(compiled=True), torch.randn(2, 16, 8)
