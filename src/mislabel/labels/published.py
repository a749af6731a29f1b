"""The published label files: name, where from, size and SHA-256. Only a table; nothing is loaded.

GitHub's addresses contain the commit, so that one address always means the same bytes. The
hashes of the two files of scores are not known here: the Zenodo record states size and MD5, and
`mislabel.download` asks it. Adding a file is one line in the table.

Sources: Lim et al. 2025 (CBN and PMD labels, CIFAR-10N's scores); Wei et al. 2022 (CIFAR-N).
"""

from dataclasses import dataclass

from mislabel.errors import InputError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One published file."""

    name: str
    "The file's own name, which it keeps in the cache."
    source: str
    url: str
    "The file; for a file of a record, the record's metadata, which has the file's address."
    size: int | None = None
    sha256: str | None = None
    folder: str = "published"
    "Folder below the cache's."
    alias: str | None = None
    "A short name that means the same file."

    @property
    def short_name(self) -> str:
        return self.alias or self.name


def published_file(name: str) -> PublishedFile:
    """The file of that name or short name, in capitals or not; `InputError` where there is none."""
    for file in PUBLISHED_FILES:
        if name.casefold() in (file.name.casefold(), file.short_name):
            return file
    hint = did_you_mean(name, [file.short_name for file in PUBLISHED_FILES])
    raise InputError("name", name, f"no published file; {hint}")


def _github(
    source: tuple[str, str], path: str, size: int, sha256: str, **more: str
) -> PublishedFile:
    repository, commit = source
    name = path.rpartition("/")[2]
    if name.endswith(".npy"):
        more["alias"] = name.removesuffix(".npy")
    return PublishedFile(
        name=name,
        source=f"github.com/{repository} @ {commit[:7]}",
        url=f"https://raw.githubusercontent.com/{repository}/{commit}/{path}",
        size=size,
        sha256=sha256,
        **more,
    )


def _zenodo(record: int, name: str) -> PublishedFile:
    return PublishedFile(
        name=name,
        source=f"zenodo.org/records/{record}",
        url=f"https://zenodo.org/api/records/{record}",
        alias=name.removesuffix(".npz"),
    )


_SOFT = ("gordon-lim/soft-neighbor-labels", "a98d8f624ad0b10e4321991c703a888556fb93c6")
_CIFAR_N = ("UCSC-REAL/cifar-10-100n", "49df7d8a69e355470c77c1c2f2424916325a394b")
_SCORES = 14687826

# fmt: off
_SOFT_FILES = (
    ("label_noise/cifar10-cluster-0.35.npy", 400128,
     "30dc9d7f22a85b96198c7cae6e8fb7111d1a755d72b16cec36d57294d2103f6a"),
    ("label_noise/cifar10-cluster-0.70.npy", 400128,
     "5c2b100ed0f3f5b044182c13b4e8c35f09fb6a8f03a579d80e986cbd1037f49e"),
    ("label_noise/cifar10-pmd-0.35.npy", 400128,
     "92dd24d3878ce60e033288e6e27caf6e0edfc9d3371110ec64d48f4deaa61ec0"),
    ("label_noise/cifar10-pmd-0.70.npy", 400128,
     "99b2346eede4c7ffb6b75833e1a452650c5053515079542a1e9d8a04af68942f"),
    ("label_noise/cifar10-given-labels.npy", 400128,
     "9dfee6f275bac0f14e63de8d1091cd1f4487a16d30c6d8726f61d1b8f999c745"),
    ("label_noise/cifar100-cluster-0.35.npy", 400128,
     "17e4d2eb70bbe6511f6adff7c6be775e65d052c9687f8a719b22f7c814ca8df4"),
    ("label_noise/cifar100-cluster-0.70.npy", 400128,
     "6440ef3fb835353e2a55312e2c37c2be882b34e17c51065da8ba88a872ae9da4"),
    ("label_noise/cifar100-pmd-0.35.npy", 400128,
     "704d33fa3a5963b4c48b56e9e1ba12eab9dad230e5faa95dbd88e5d0e26b34a9"),
    ("label_noise/cifar100-pmd-0.70.npy", 400128,
     "b0295f484ebcab461587401ed289a8e2e923d02c2bee88141ea907d07e497c58"),
    ("label_noise/cifar100-given-labels.npy", 400128,
     "233cdd4afc94cd00f3ddec6f8640168bf76a6872168cf6c5a9990ac9f144be3b"),
    ("label_noise/cifar10-cluster-0.35.csv", 1958506,
     "cca8fa44d08aed8090457b3379b3abca4585402c0b4846e767d12f5bee4ba5c4"),
    ("label_noise/cifar10-cluster-0.70.csv", 1958506,
     "428dcf6277f74036ad155c7626e6614c5994a453f0d87ea1d1067a70727b45b8"),
    ("label_noise/cifar10-pmd-0.35.csv", 1958506,
     "e0104bdb19bc3af2a12ed3371806c3ff9e089d525b944f7dd63122e862f0a8fc"),
    ("label_noise/cifar10-pmd-0.70.csv", 1958506,
     "82f4408177598fa7652e7872646129e8062f80320d7652bf9d4d6d0ea47e1498"),
    ("label_noise/cifar100-cluster-0.35.csv", 1728257,
     "9061c9cded858c67260d9779a1da63a0c5b7561803ff1ebf5dbd126388e8966e"),
    ("label_noise/cifar100-cluster-0.70.csv", 1727944,
     "bd605eeae2adf62a9d0243a1207d1319c4935490794ec7a9dcf09fddc76e5995"),
    ("label_noise/cifar100-pmd-0.35.csv", 2017946,
     "906b1c021b2ae9ae02f9d080307db0014656588aae4cb2a114fdc57bcacaa07b"),
    ("label_noise/cifar100-pmd-0.70.csv", 2017929,
     "7520ee59d81cbde1e0e204e9ba31a44790bee81451a55594b63a2508f39fca3a"),
    ("label_memorization_cifar10n/cifar_rand1_syn_labels.csv", 200024,
     "a3821badf375471142972ca025c64e6fa6cfac1aba27108de3334bbb5621e28e"),
)
_CIFAR_N_FILES = (
    ("data/CIFAR-10_human.pt", 2401007,
     "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310", "cifar-10n"),
    ("data/CIFAR-100_human.pt", 1000959,
     "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394", "cifar-100n"),
)
# fmt: on

PUBLISHED_FILES = (
    *(_github(_SOFT, path, size, sha256) for path, size, sha256 in _SOFT_FILES),
    *(
        _github(_CIFAR_N, path, size, sha256, folder="cifar-n", alias=alias)
        for path, size, sha256, alias in _CIFAR_N_FILES
    ),
    *(_zenodo(_SCORES, f"cifar-rand1-{kind}-infl-mem.npz") for kind in ("human", "syn")),
)
"Every file that ``mislabel noise fetch`` knows."
