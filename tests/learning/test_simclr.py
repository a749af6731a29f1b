"""SimCLR: its loss by hand, its views in range, its training exact and resumable."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mislabel.errors import InputError
from mislabel.features import encode, make_encoder, nearest_neighbors
from mislabel.features.base import EncoderRun
from mislabel.features.simclr import Simclr
from mislabel.learning import simclr
from mislabel.learning.simclr import (
    SimclrSettings,
    Views,
    build_backbone,
    nt_xent,
    random_views,
    simclr_features,
    simclr_recipe,
    train_simclr,
)
from mislabel.seeds import TrainingSeeds
from tiny_models import images

CPU = torch.device("cpu")
SETTINGS = SimclrSettings(recipe=simclr_recipe(epochs=3, batch_size=8))
SEEDS = TrainingSeeds.spawn(0)


def plain_nt_xent(projections: Any, temperature: float) -> float:
    """The formula of the paper, term by term; row i and row i + B are one image."""
    points = projections / np.linalg.norm(projections, axis=1, keepdims=True)
    count, total = len(points), 0.0
    for i in range(count):
        j = (i + count // 2) % count
        similar = [math.exp(points[i] @ points[k] / temperature) for k in range(count)]
        total += -math.log(similar[j] / sum(s for k, s in enumerate(similar) if k != i))
    return total / count


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_is_the_double_loop(temperature: float) -> None:
    projections = np.random.default_rng(0).normal(size=(12, 5))
    found = nt_xent(torch.from_numpy(projections), temperature)
    assert float(found) == pytest.approx(plain_nt_xent(projections, temperature), rel=1e-5)


def test_nt_xent_by_hand() -> None:
    # Two images, views equal, images at a right angle: each row has its partner at similarity 1
    # and two others at 0, so the loss is log(1 + 2 exp(-1 / t)) whatever the lengths.
    points = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0], [0.0, 1.0]])
    assert float(nt_xent(points, 0.5)) == pytest.approx(math.log(1 + 2 * math.exp(-2)), rel=1e-6)
    # All alike: each of the other three is as near as the partner.
    assert float(nt_xent(torch.ones(4, 2), 0.5)) == pytest.approx(math.log(3), rel=1e-6)
    # One image alone: nothing to tell it from.
    assert float(nt_xent(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))) == 0


def test_nt_xent_has_a_finite_gradient() -> None:
    points = torch.ones(6, 3, requires_grad=True)
    nt_xent(points).backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()


def views_of(batch: Any, views: Views, seed: int = 1) -> torch.Tensor:
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
    return random_views(tensor, views, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("views", [Views(), Views(smallest=0.05, jitter=1.0, flip=False)])
def test_views_keep_shape_and_range(channels: int, views: Views) -> None:
    batch = images(64, channels=channels)
    batch[:8], batch[8:16] = 0, 255
    found = views_of(batch, views)
    assert found.shape == (64, channels, 20, 24)
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.isfinite(found).all()


def test_views_are_drawn_by_their_generator() -> None:
    batch = images(8)
    assert torch.equal(views_of(batch, Views()), views_of(batch, Views()))
    assert not torch.equal(views_of(batch, Views()), views_of(batch, Views(), seed=2))


def test_without_crop_jitter_and_flip_a_view_is_the_image() -> None:
    batch = np.repeat(images(16, height=16, width=16)[:, :1, :1], 16, axis=1).repeat(16, axis=2)
    found = views_of(batch, Views(smallest=1.0, jitter=0.0, flip=False))
    expected = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_crops_lie_inside_the_image_and_cover_the_promised_area() -> None:
    generator = torch.Generator().manual_seed(0)
    found = simclr._crops(20_000, Views(smallest=0.3), generator, CPU)
    width, height = found[:, 0, 0].abs(), found[:, 1, 1]
    assert (found[:, 0, 2].abs() + width).max() <= 1 + 1e-6
    assert (found[:, 1, 2].abs() + height).max() <= 1 + 1e-6
    area = width * height
    assert area.min() >= 0.3 * 0.75  # a long crop is cut to the image
    assert area.max() <= 1 + 1e-6
    # Every other one is mirrored: a binomial share, within 5 deviations.
    mirrored = float((found[:, 0, 0] < 0).float().mean())
    assert abs(mirrored - 0.5) < 5 * math.sqrt(0.25 / 20_000)


def test_a_crop_is_what_a_plain_loop_over_pixels_takes() -> None:
    batch = torch.rand(3, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    maps = simclr._crops(3, Views(), torch.Generator().manual_seed(1), CPU)
    grid = torch.nn.functional.affine_grid(maps, [3, 1, 6, 8], align_corners=False)
    found = torch.nn.functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    for image, matrix, view in zip(batch.numpy(), maps.numpy(), found.numpy(), strict=True):
        for row in range(6):
            for column in range(8):
                x, y = matrix @ [(2 * column + 1) / 8 - 1, (2 * row + 1) / 6 - 1, 1]
                place = min(max((x + 1) * 4 - 0.5, 0), 7), min(max((y + 1) * 3 - 0.5, 0), 5)
                assert view[0, row, column] == pytest.approx(bilinear(image[0], *place), abs=1e-4)


def bilinear(image: Any, x: float, y: float) -> float:
    left, top = math.floor(x), math.floor(y)
    right, bottom = min(left + 1, image.shape[1] - 1), min(top + 1, image.shape[0] - 1)
    u, v = x - left, y - top
    upper = (1 - u) * image[top, left] + u * image[top, right]
    lower = (1 - u) * image[bottom, left] + u * image[bottom, right]
    return float((1 - v) * upper + v * lower)


def test_hue_turns_colours_and_leaves_greys() -> None:
    turned = simclr._hue(torch.tensor([0.0, 1.0, math.pi]))
    torch.testing.assert_close(turned[0], torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned @ torch.ones(3), torch.ones(3, 3), atol=1e-3, rtol=0)
    assert (turned[2] - torch.eye(3)).abs().max() > 0.5
    torch.testing.assert_close(turned[2] @ turned[2], torch.eye(3), atol=1e-4, rtol=0)


def test_a_share_of_colour_views_is_grey() -> None:
    found = views_of(images(2_000, height=4, width=4), Views())
    spread = (found.amax(dim=1) - found.amin(dim=1)).amax(dim=(1, 2))
    share = float((spread < 1e-5).float().mean())
    assert abs(share - 0.2) < 5 * math.sqrt(0.16 / 2_000)


@pytest.mark.parametrize(("name", "width"), [("cnn", 128), ("resnet34", 512), ("mlp", 128)])
def test_backbones_give_features(name: str, width: int) -> None:
    network, found = build_backbone(name, (16, 16, 3))
    assert found == width
    assert network.eval()(torch.rand(2, 3, 16, 16)).shape == (2, width)


def trained(batch: Any, **options: Any) -> Any:
    training = train_simclr(batch, SETTINGS, SEEDS, CPU, **options)
    return simclr_features(training, batch, batch, SETTINGS.recipe, CPU)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_seed_gives_the_same_bits(channels: int) -> None:
    batch = images(24, channels=channels)
    first = trained(batch)
    assert first.shape == (24, 128)
    assert first.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert np.array_equal(trained(batch), first)


@pytest.mark.parametrize("stream", ["initialisation", "order", "augmentation"])
def test_each_seed_has_an_effect_of_its_own(stream: str) -> None:
    batch = images(24)
    other = replace(SEEDS, **{stream: 7})
    losses = [train_simclr(batch, SETTINGS, seeds, CPU).losses for seeds in (SEEDS, other)]
    assert losses[0] != losses[1]


def test_no_global_state_is_touched() -> None:
    before = torch.get_rng_state()
    trained(images(16))
    assert torch.equal(torch.get_rng_state(), before)


class StoppedError(Exception):
    pass


def stop_after(epoch: int) -> Any:
    def progress(done: int, total: int) -> None:
        if done == epoch:
            raise StoppedError

    return progress


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    batch, kept = images(24), tmp_path / "kept.npz"
    whole = train_simclr(batch, SETTINGS, SEEDS, CPU)
    with pytest.raises(StoppedError):
        trained(batch, kept=kept, keep_seconds=0, progress=stop_after(2))
    epochs: list[int] = []
    training = train_simclr(
        batch, SETTINGS, SEEDS, CPU, kept=kept, progress=lambda done, total: epochs.append(done)
    )
    assert epochs == [3]
    assert training.losses == whole.losses
    resumed, uninterrupted = (t.network.state_dict() for t in (training, whole))
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)
    # A finished one is read, not trained again.
    train_simclr(batch, SETTINGS, SEEDS, CPU, kept=kept, progress=stop_after(1))


def test_a_damaged_file_is_trained_over(tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    for content in (b"no archive", b"PK\x03\x04 half"):
        kept.write_bytes(content)
        assert np.array_equal(trained(images(16), kept=kept), trained(images(16)))


def test_test_images_are_embedded_by_the_network_of_the_training_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path))
    batch, spec = images(24), "simclr:epochs=2,batch=8"
    train = encode(spec, batch)
    monkeypatch.setattr(simclr, "_train_epoch", None)  # it would fail
    test = encode(spec, batch[:5].copy(), fit_on=batch)
    np.testing.assert_allclose(test, train[:5], atol=1e-6)


def test_training_lowers_the_loss_and_finds_images_of_one_kind() -> None:
    rng = np.random.default_rng(0)
    kinds = np.arange(96) % 3  # stripes along, across, none: mean colours tell nothing
    rows, columns = np.mgrid[0:16, 0:16]
    patterns = np.stack([(rows % 4 < 2) * 200, (columns % 4 < 2) * 200, np.full((16, 16), 100)])
    grey = patterns[kinds] + rng.integers(0, 50, (96, 16, 16))
    batch = grey[..., None].astype(np.uint8)
    settings = SimclrSettings(recipe=simclr_recipe(epochs=15, batch_size=32))
    training = train_simclr(batch, settings, SEEDS, CPU)
    assert training.losses[-1] < training.losses[0] - 0.3
    features = simclr_features(training, batch, batch, settings.recipe, CPU)
    _, indices = nearest_neighbors(features, 5)
    assert (kinds[indices] == kinds[:, None]).mean() > 0.9


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("simclr:temperature=0", "temperature=0.0: must be positive"),
        ("simclr:crop=0", "crop=0.0: must be above 0, at most 1"),
        ("simclr:jitter=2", "jitter=2.0: must be between 0 and 1"),
        ("simclr:batch=1", "batch=1: must be at least 2"),
        ("simclr:epochs=0", "epochs=0: must be a whole number, at least 1"),
        ("simclr:network=cn", "network='cn': unknown name; did you mean 'cnn'? "),
        ("simclr:seed=-1", "seed=-1: must be a whole number from 0 to 2**63 - 1"),
    ],
)
def test_bad_parameters(spec: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_encoder(spec)(images(4, height=16, width=16))
    assert str(caught.value).startswith(message)


def test_too_few_images_and_tables_are_refused() -> None:
    with pytest.raises(InputError, match="SimCLR needs at least 2 images"):
        Simclr(epochs=1)(images(1))
    with pytest.raises(InputError, match="takes images of 1 or 3 channels"):
        Simclr(epochs=1)(np.zeros((4, 3), dtype=np.float32), run=EncoderRun())
