"""The train step of `banach start` in PyTorch: one layer of FP-Mamba with a Householder mixer, Picard's iteration with
damping and the rule of the authors (arXiv 2503.10799), one differentiable step, clipping and AdamW.

A process that reads one JSON object a line from its standard input and writes one a line to its standard output:
{"op": "version"} -> {"version", "blas"}
{"op": "setup", "threads", "model", "solver", "optimizer", "params", "batch"} -> {}
{"op": "check"} -> {"logits", "loss", "gradient", "iterations"}, "gradient" by name
{"op": "sample", "runs"} -> {"wall", "cpu", "iterations"}, milliseconds a run
Tensors are {"shape", "data"}, the data base64 of little-endian float32, or of int32 for tokens.
"""

import base64
import json
import math
import re
import sys
import time

import torch
import torch.nn.functional as F


def tensor(given, dtype=torch.float32):
    data = bytearray(base64.b64decode(given["data"]))
    return torch.frombuffer(data, dtype=dtype).reshape(given["shape"]).clone()


def encoded(x):
    x = x.detach().to(torch.float32).contiguous()
    # Without numpy, which PyTorch does not need, this is the way to the bytes.
    data = bytes(x.view(-1).view(torch.uint8).tolist()) if x.numel() else b""
    return {"shape": list(x.shape), "data": base64.b64encode(data).decode("ascii")}


class Recurrence(torch.autograd.Function):
    """h_t = decay_t h_{t-1} + drive_t over the first axis, from 0. Its reverse is the same recurrence backwards:
    autograd through the loop would keep and add up whole sequences at each step."""

    @staticmethod
    def forward(ctx, decay, drive):
        h = recurrence(decay, drive)
        ctx.save_for_backward(decay, h)
        return h

    @staticmethod
    def backward(ctx, cotangent):
        decay, h = ctx.saved_tensors
        g = torch.empty_like(cotangent)
        g[-1] = cotangent[-1]
        for t in range(len(g) - 2, -1, -1):
            torch.addcmul(cotangent[t], decay[t + 1], g[t + 1], out=g[t])
        d_decay = torch.zeros_like(decay)
        torch.mul(g[1:], h[:-1], out=d_decay[1:])
        return d_decay, g


def recurrence(decay, drive):
    h = torch.empty_like(drive)
    h[0] = drive[0]
    for t in range(1, len(h)):
        torch.addcmul(drive[t], decay[t], h[t - 1], out=h[t])
    return h


def shift(y):
    """y_{t-1}, 0 before the first step."""
    return torch.cat([torch.zeros_like(y[:1]), y[:-1]])


def rms_norm(x, weight, eps=1e-5):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def weight_norm(params, name):
    v = params[name + ".v"]
    return params[name + ".g"] * v / v.norm(dim=1, keepdim=True)


class FpMamba:
    """The model. Sequences are [time, batch, channel] inside, so that a step of the scan is one piece of memory."""

    def __init__(self, sizes, solver):
        self.rank, self.state, self.gain, self.eps = (sizes[key] for key in ("rank", "state", "gain", "eps"))
        self.solver = solver

    def prepare(self, p, u):
        """What y does not change, and the weights that y meets."""
        block = "blocks.0."
        x, z = F.linear(u, p[block + "in_proj.weight"]).chunk(2, -1)
        d = x.shape[-1]
        selected = F.linear(x, p[block + "x_proj.weight"])
        raw, bc = selected.split([selected.shape[-1] - 2 * self.state, 2 * self.state], -1)
        dt = F.softplus(F.linear(raw, p[block + "dt_proj.weight"], p[block + "dt_proj.bias"]))
        # A [state, channel]: neighbours in memory are channels.
        a = -p[block + "A_log"].exp().t()
        decay = (dt.unsqueeze(2) * a).exp()
        # All that is linear in y_{t-1} as one product: directions, strengths, B and C. Its part in x is added once.
        mixer = torch.cat([weight_norm(p, block + "mixer.u_proj"), weight_norm(p, block + "mixer.alpha_proj")])
        own, hidden = mixer.split(d, 1)
        bias = p[block + "mixer.alpha_proj.bias"]
        mixed = F.linear(x, own) + F.pad(bias, (self.rank * d, 0))
        return {
            "x": x,
            "z": z,
            "dt": dt,
            "decay": decay,
            "projection": torch.cat([mixed, bc], -1),
            "hidden": torch.cat([hidden, weight_norm(p, block + "bc_y_proj")]).t().contiguous(),
            "skip": p[block + "D"],
            "norm": (p[block + "out_norm.weight"], p[block + "out_norm.bias"]),
        }

    def step(self, y, given, scan):
        """One application of the map, y [time, batch, channel]."""
        x, dt, projection = given["x"], given["dt"], given["projection"]
        length, batch, d = y.shape
        flat = torch.addmm(projection.view(length * batch, -1), shift(y).view(length * batch, d), given["hidden"])
        parts = flat.view(length, batch, -1)
        directions, strengths, bc = parts.split([self.rank * d, self.rank, 2 * self.state], -1)
        raw = F.silu(directions).view(length, batch, self.rank, d)
        # u = raw / max(|raw|, eps) occurs twice in u (u . v), so the square of the length divides once.
        scale = self.gain * strengths.sigmoid() / raw.square().sum(-1).clamp_min(self.eps**2)
        v = x - y
        for i in range(self.rank):
            u = raw[:, :, i]
            v = v - u * ((u * v).sum(-1) * scale[:, :, i]).unsqueeze(-1)
        mixed = v + y
        bc = bc.view(length, batch, 2, self.state)
        bc = bc / bc.norm(dim=-1, keepdim=True).clamp_min(self.eps)
        h = scan(given["decay"], (dt * mixed).unsqueeze(2) * bc[:, :, 0].unsqueeze(-1))
        out = (h * bc[:, :, 1].unsqueeze(-1)).sum(2) + given["skip"] * mixed
        return F.layer_norm(out, (d,), *given["norm"], self.eps)

    @torch.no_grad()
    def solve(self, given):
        rule = self.solver
        batch = given["x"].shape[1]
        y = torch.zeros_like(given["x"])
        best = torch.full((batch,), math.inf)
        step = torch.full((batch,), rule["step"])
        patience = torch.full((batch,), float(rule["patience"]))
        made = 0
        while True:
            following = self.step(y, given, recurrence)
            change = (y - following).abs_().amax(-1)
            residual = (change / (following.abs().amax(-1) + 1e-8)).amax(0)
            y = torch.lerp(y, following, step.view(1, -1, 1))
            improved = residual < best
            best = torch.where(improved, residual, best)
            patience = torch.where(improved, torch.full_like(patience, rule["patience"]), patience - 1)
            spent = patience <= 0
            patience = torch.where(spent, patience + rule["patience"], patience)
            step = torch.where(spent, step * rule["decay"], step)
            made += 1
            unsolved = torch.quantile(best, rule["quantile"]) >= rule["tol"]
            if made >= rule["maxSteps"] or not unsolved or step.max() < 1e-3:
                return y, made

    def __call__(self, p, ids):
        """ids [batch, time] -> logits [batch, time, vocabulary], iterations."""
        embedding = p["embedding.weight"]
        hidden = F.embedding(ids.t(), embedding)
        given = self.prepare(p, rms_norm(hidden, p["norms.0.weight"]))
        y, made = self.solve(given)
        y = self.step(y, given, Recurrence.apply)
        gate = F.silu(given["z"] + F.linear(shift(y), weight_norm(p, "blocks.0.z_y_proj")))
        hidden = hidden + F.linear(gate * y, p["blocks.0.out_proj.weight"])
        return F.linear(rms_norm(hidden, p["norm_f.weight"]), embedding).transpose(0, 1), made


class Training:
    def __init__(self, request):
        torch.set_num_threads(request["threads"])
        self.params = {name: tensor(value).requires_grad_() for name, value in request["params"].items()}
        self.start = [value.detach().clone() for value in self.params.values()]
        self.ids = tensor(request["batch"]["inputs"], torch.int32).long()
        self.targets = tensor(request["batch"]["targets"], torch.int32).long()
        # Positions that do not count.
        self.targets[tensor(request["batch"]["mask"], torch.int32) == 0] = -100
        self.model = FpMamba(request["model"], request["solver"])
        options = request["optimizer"]
        self.clip = options["clip"]
        decays = {True: [], False: []}
        for name, value in self.params.items():
            free = re.search("bias|norm", name) or name.split(".")[-1] in ("A_log", "D")
            decays[not free].append(value)
        groups = [
            {"params": decays[True], "weight_decay": options["weightDecay"]},
            {"params": decays[False], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=options["learningRate"])
        self.made = 0

    def gradient(self):
        self.optimizer.zero_grad(set_to_none=True)
        logits, self.made = self.model(self.params, self.ids)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), self.targets.reshape(-1))
        loss.backward()
        return logits, loss

    def step(self):
        _, loss = self.gradient()
        torch.nn.utils.clip_grad_norm_(list(self.params.values()), self.clip)
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def restore(self):
        """So that each step does the same work. The optimiser's own state goes on, which costs nothing else."""
        for value, start in zip(self.params.values(), self.start):
            value.copy_(start)

    def sample(self, runs):
        wall = cpu = 0.0
        for _ in range(runs):
            self.restore()
            before = time.perf_counter(), time.process_time()
            self.step()
            wall += time.perf_counter() - before[0]
            cpu += time.process_time() - before[1]
        return {"wall": 1000 * wall / runs, "cpu": 1000 * cpu / runs, "iterations": self.made}

    def check(self):
        self.restore()
        logits, loss = self.gradient()
        gradient = {name: encoded(value.grad) for name, value in self.params.items()}
        return {"logits": encoded(logits), "loss": loss.item(), "gradient": gradient, "iterations": self.made}


def blas():
    """The library of matrix products that is loaded: Debian's PyTorch takes any, the slow reference too."""
    try:
        with open("/proc/self/maps") as maps:
            paths = sorted({line.split()[-1] for line in maps if re.search(r"/lib(blas|openblas|mkl|blis)[^/]*$", line)})
    except OSError:
        return "unknown BLAS"
    # An OpenBLAS that another library needs may be there too; products go to what is called libblas.
    return "/".join(paths[0].split("/")[-2:]) if paths else "its own BLAS"


def main():
    training = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "version":
            torch.ones(2, 2) @ torch.ones(2, 2)
            answer = {"version": torch.__version__, "blas": blas()}
        elif request["op"] == "setup":
            training = Training(request)
            answer = {}
        elif request["op"] == "check":
            answer = training.check()
        else:
            answer = training.sample(request["runs"])
        print(json.dumps(answer), flush=True)


main()
