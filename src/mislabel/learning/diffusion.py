"""Label diffusion: the forward process on label vectors, and deterministic sampling (DDIM).

Forward: ``y_t = sqrt(abar_t) y_0 + sqrt(1 - abar_t) e`` with e standard normal, so that y_t given
y_0 has mean ``sqrt(abar_t) y_0`` and variance ``1 - abar_t`` in every entry, for t = 1 to T
(Ho et al. 2020, DDPM, eq. 4). The schedule is the cosine one (Nichol & Dhariwal 2021, eq. 17):
``abar_t = f(t) / f(0)``, ``f(t) = cos^2((t/T + s) / (1 + s) * pi/2)``, s = 0.008, each beta_t at
most 0.999. Backward: DDIM with eta = 0 (Song et al. 2021, eq. 12), which draws nothing: a network
tells e, thereby y_0, and the step goes to an earlier time with the same e.

Times are counted from 0 here: time t in the code is t + 1 in the papers. Pitfall: at the end of
the schedule abar is 2e-9, and y_0 would be the error of the network times 20,000; the steps of
`LabelProcess.denoised` therefore start at 900 of 1000, as in the original code, not at 999.
"""

from collections.abc import Callable
from math import cos, pi

import torch
from torch import Tensor, nn

OFFSET = 0.008
LARGEST_BETA = 0.999


def cosine_schedule(steps: int) -> Tensor:
    """(T,) abar, the share of the signal's variance that is left, falling from almost 1."""

    def signal(t: int) -> float:
        return cos((t / steps + OFFSET) / (1 + OFFSET) * pi / 2) ** 2

    betas = [min(1 - signal(t + 1) / signal(t), LARGEST_BETA) for t in range(steps)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), dim=0)


def antithetic_times(count: int, steps: int, generator: torch.Generator) -> Tensor:
    """(count,) times: half are uniform from 0 to `steps` - 1, and the others mirror them."""
    half = (count + 1) // 2
    drawn = torch.randint(steps, (half,), generator=generator, device=generator.device)
    return torch.cat([drawn, steps - 1 - drawn])[:count]


class LabelProcess(nn.Module):
    """The process of `steps` times; it has buffers, and no weights.

    sampling_steps: of DDIM, evenly spread over the times 0, T/S, 2T/S, ...
    """

    signal: Tensor
    noise: Tensor

    def __init__(self, steps: int = 1000, sampling_steps: int = 10) -> None:
        super().__init__()
        left = cosine_schedule(steps)
        self.steps = steps
        self.times = [i * steps // sampling_steps for i in range(sampling_steps)]
        self.register_buffer("signal", left.sqrt().float(), persistent=False)
        self.register_buffer("noise", (1 - left).sqrt().float(), persistent=False)

    def noised(self, clean: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """y_t of labels `clean` (B, C) at `times` (B,) with `noise` (B, C)."""
        return self.signal[times, None] * clean + self.noise[times, None] * noise

    def clean(self, noised: Tensor, time: int, noise: Tensor) -> Tensor:
        """The y_0 of which `noised` (B, C) was made by `noise`."""
        return (noised - self.noise[time] * noise) / self.signal[time]

    def denoised(
        self,
        tell_noise: Callable[[Tensor, int], Tensor],
        start: Tensor,
        *,
        steps: int | None = None,
    ) -> Tensor:
        """Labels (B, C) by DDIM.

        tell_noise: the noise (B, C) in y_t at t. start: the last y_t. steps: of all, how many.
        """
        state = clean = start
        for number in list(reversed(range(len(self.times))))[:steps]:
            time = self.times[number]
            noise = tell_noise(state, time)
            clean = self.clean(state, time, noise)
            if number:
                earlier = self.times[number - 1]
                state = self.signal[earlier] * clean + self.noise[earlier] * noise
        return clean
