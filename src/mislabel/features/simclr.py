"""`simclr`: features learned from the images themselves, without labels or downloads.

Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
ICML 2020. The training is `mislabel.learning.simclr`; it goes on after a kill, and its network is
kept, so that test images are embedded without training again.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mislabel.features.base import EncoderRecord, EncoderRun, Features
from mislabel.features.hf import check_images
from mislabel.seeds import TrainingSeeds, check_seed

if TYPE_CHECKING:
    from mislabel.learning.simclr import SimclrSettings


@dataclass(frozen=True, kw_only=True)
class Simclr:
    """SimCLR on the images that are to be embedded.

    epochs: passes over the images. network: cnn (128 features) or resnet34 (512; for a GPU).
    batch: images per step, two views each. temperature: of NT-Xent. crop: smallest share of the
    area that a view shows. jitter: strength of the colour jitter. flip: mirror every other view;
    false for digits and letters. seed: spawns those of initialisation, order and augmentation.
    """

    epochs: int = 100
    network: str = "cnn"
    batch: int = 256
    temperature: float = 0.5
    crop: float = 0.2
    jitter: float = 0.5
    flip: bool = True
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def key(self) -> dict[str, Any]:
        return asdict(self)

    def settings(self) -> "SimclrSettings":
        """The settings of the training; `InputError` for one that breaks its rule."""
        from mislabel.learning.simclr import SimclrSettings, Views, simclr_recipe

        return SimclrSettings(
            recipe=simclr_recipe(
                network=self.network,
                epochs=self.epochs,
                batch_size=self.batch,
                precision=self.precision,
            ),
            temperature=self.temperature,
            views=Views(smallest=self.crop, jitter=self.jitter, flip=self.flip),
        )

    def __call__(
        self,
        examples: NDArray[Any],
        *,
        fit_on: NDArray[Any] | None = None,
        run: EncoderRun | None = None,
    ) -> Features:
        """(N, d) float32 rows of length 1. fit_on: images to train on, by default these."""
        from mislabel.learning.problem import choose_device
        from mislabel.learning.simclr import simclr_features, train_simclr

        run = run or EncoderRun()
        images = examples if fit_on is None else fit_on
        for array in (examples, images):
            check_images(array, "simclr")
        settings, device = self.settings(), choose_device(run.device)
        training = train_simclr(
            images,
            settings,
            TrainingSeeds.spawn(self.seed),
            device,
            kept=run.fitted,
            progress=run.progress,
        )
        return simclr_features(training, examples, images, settings.recipe, device)


RECORD = EncoderRecord(
    name="simclr",
    title="SimCLR",
    paper="Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations",
    build=Simclr,
    positional="epochs",
    example="simclr:epochs=100",
    libraries=("numpy", "torch"),
    fits=True,
    neural=True,
)
