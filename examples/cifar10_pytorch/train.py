"""A small network on CIFAR-10, as anybody would write it: nothing of mislabel is in here.

python train.py --x-train x_train.npy --x-test x_test.npy --labels labels.npy --seed 1 --out out
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def main() -> None:
    options = parse()
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x_train, x_test = (images(path).to(device) for path in (options.x_train, options.x_test))
    y_train = torch.from_numpy(np.load(options.labels)).long().to(device)
    model = network(x_train.shape[1:], classes=int(y_train.max()) + 1).to(device)
    train(model, x_train, y_train, options)
    options.out.mkdir(parents=True)
    np.save(options.out / "predictions.npy", predict(model, x_test))
    np.save(options.out / "train_predictions.npy", predict(model, x_train))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--x-train", type=Path, required=True, help="images (N, H, W, C), .npy")
    parser.add_argument("--x-test", type=Path, required=True, help="images (M, H, W, C), .npy")
    parser.add_argument("--labels", type=Path, required=True, help="labels (N,), .npy")
    parser.add_argument("--out", type=Path, required=True, help="folder for the predictions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.003, help="learning rate at its peak")
    parser.add_argument(
        "--mend",
        action="store_true",
        help="move and mirror images, so that none is learnt by heart",
    )
    return parser.parse_args()


def images(path: Path) -> Tensor:
    """Images of bytes (N, H, W, C) as numbers around 0, (N, C, H, W)."""
    return torch.from_numpy(np.load(path)).permute(0, 3, 1, 2).float() / 128 - 1


def network(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Three convolutions, each of which halves the image, and a linear layer."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for filters in (16, 32, 64):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = filters, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, classes))


def train(model: nn.Module, x: Tensor, y: Tensor, options: argparse.Namespace) -> None:
    """AdamW, with a learning rate that rises and falls."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.05)
    steps = options.epochs * -(-len(x) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=steps)
    model.train()
    for epoch in range(options.epochs):
        losses = []
        for batch in torch.randperm(len(x), device=x.device).split(options.batch):
            shown = moved(x[batch]) if options.mend else x[batch]
            loss = functional.cross_entropy(model(shown), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")


def moved(x: Tensor) -> Tensor:
    """A batch of images, half of them mirrored, all moved by up to an eighth of their size."""
    height, width = x.shape[2:]
    by = height // 8
    mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    padded = functional.pad(torch.where(mirrored, x.flip(3), x), (by,) * 4, mode="reflect")
    top, left = torch.randint(2 * by + 1, (2,)).tolist()
    return padded[:, :, top : top + height, left : left + width]


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> np.ndarray:
    """The most likely class of each image, (N,)."""
    model.eval()
    return torch.cat([model(part).argmax(dim=1) for part in x.split(1000)]).cpu().numpy()


if __name__ == "__main__":
    main()
