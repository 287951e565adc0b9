"""Models whose code addresses a GPU."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

GPU = torch.device("cuda:0")
OFFSET = torch.ones(8, device="cuda")


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(x)


class Factories(Linear):
    def forward(self, x):
        y = self.linear(x.to(0)) + OFFSET.to(x.device) + torch.zeros(8).cuda()
        y = y + torch.ones(8, device=0) + torch.arange(8).to("cuda:1", non_blocking=True)
        return y + torch.tensor([1.0] * 8).to(device=GPU) + x.new_zeros(8, device="cuda")


class Streams(Linear):
    def forward(self, x):
        with torch.device("cuda"):
            offset = torch.ones(8)
        torch.cuda.synchronize()
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            y = self.linear(x) + offset
        torch.cuda.current_stream().wait_stream(stream)
        return y + torch.cuda.FloatTensor(8).fill_(1)


class Autocast(Linear):
    def forward(self, x):
        with torch.autocast("cuda"):
            y = self.linear(x)
        assert y.dtype == torch.float16
        with torch.amp.autocast(device_type="cuda", dtype=torch.bfloat16):
            y = self.linear(y)
        with torch.autocast("cuda", enabled=False):
            return self.linear(y.float())


class Ranges(Linear):
    def forward(self, x):
        torch.cuda.nvtx.range_push("linear")
        y = self.linear(x)
        torch.cuda.nvtx.range_pop()
        torch.cuda.empty_cache()
        return checkpoint(self.linear, y, use_reentrant=False)


def factories():
    return Factories().to(0), torch.randn(2, 8, device=0)


def streams():
    return Streams().to("cuda"), torch.randn(2, 8, device=GPU)


def autocast():
    return Autocast().cuda(0), torch.randn(2, 8).cuda()


def ranges():
    torch.cuda.set_device(0)
    return nn.DataParallel(Ranges()).to("cuda"), torch.randn(2, 8)


def generator():
    seeded = torch.Generator(device="cuda").manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8, device="cuda"), nn.LayerNorm(8, device="cuda"))
    return net, torch.randn(2, 8, generator=seeded, device="cuda")
