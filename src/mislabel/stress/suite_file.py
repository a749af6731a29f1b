"""Suites from YAML files; every mistake is named with its line.

```yaml
name: nightly
version: 1
seeds: 3                # the seeds 1, 2 and 3; or a list of seeds, [4, 5]
noises:
  - symmetric: [0.1, 0.2]             # a kind and its rates
  - human-like:0.2,effects=drawn      # or a spec
thresholds:
  - accuracy >= 0.8 at human-like:0.2,effects=drawn
about: one line
```

Only ``noises`` and ``seeds`` are needed; the name is the file's without its ending, the version 1.
Values are taken as they are written: what YAML would make of ``yes`` or ``1:30`` has no part in it.
Nothing is constructed from the file. Tags, anchors, aliases, several documents, keys given twice
and files of more than 1 MB are errors.

Pitfall: ``- symmetric: 0.2`` is a kind and its rate to YAML and ``- symmetric:0.2`` is text. Both
are understood, and mean the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from mislabel.errors import InputError, did_you_mean
from mislabel.files import check_plain
from mislabel.noise import canonical_noise, make_noise
from mislabel.seeds import check_seed
from mislabel.stress.intervals import MAX_SEEDS
from mislabel.stress.suite import CLEAN, SUITES, Suite, family
from mislabel.stress.thresholds import parse_threshold

MAX_BYTES = 1_000_000
KEYS = ("name", "version", "seeds", "noises", "thresholds", "about")
_MAX_DEPTH = 8
_MAX_TEXT = 200


def load_suite(path: Path) -> Suite:
    """The suite of a YAML file; any mistake is an `InputError` with file and line."""
    file = _File(path=path, text=_read(path))
    root = file.compose()
    values = file.mapping(root, "the file", known=KEYS)
    for key in ("noises", "seeds"):
        if key not in values:
            raise file.error(root, f"needs {key}")
    noises = file.noises(values["noises"])
    return Suite(
        name=file.name(values.get("name")),
        version=file.whole(values["version"], "version", least=1) if "version" in values else 1,
        noises=list(noises),
        seeds=file.seeds(values["seeds"]),
        thresholds=file.thresholds(values.get("thresholds"), noises),
        about=file.line(values["about"], "about") if "about" in values else "",
    )


@dataclass(frozen=True, kw_only=True)
class _File:
    """Reads nodes as the values they stand for; errors have the node's line."""

    path: Path
    text: str

    def error(self, where: yaml.Node | yaml.Event | None, rule: str) -> InputError:
        """An error at a node or an event; without one at the first line."""
        mark = where.start_mark if where else None
        return self.error_at(mark.line if mark else 0, rule)

    def error_at(self, line: int, rule: str) -> InputError:
        """An error at a line, counted from 0."""
        return InputError("suite", f"{self.path}:{line + 1}", rule)

    def compose(self) -> yaml.Node:
        """The tree of the only document."""
        try:
            root = _Loader(self).get_single_node()
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position)
            raise self.error_at(line, "has a character that YAML does not allow") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self.error_at(mark.line if mark else 0, f"is no YAML: {error.problem}") from None
        if root is None:
            raise self.error(None, "is empty; needs noises and seeds")
        return root

    def mapping(
        self, node: yaml.Node, what: str, known: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        """The nodes of a mapping by key, each key once and one of `known`, where that is given."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} must have the form KEY: VALUE")
        values: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.line(key_node, "a key")
            if key in values:
                raise self.error(key_node, f"key {key!r} is given twice")
            if known and key not in known:
                raise self.error(key_node, f"unknown key {key!r}; {did_you_mean(key, known)}")
            values[key] = value
        return values

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The nodes of a list, at least one."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.error(node, f"{what} must be a list of at least one")
        return list(node.value)

    def line(self, node: yaml.Node, what: str) -> str:
        """Text on one line."""
        text = node.value.strip() if isinstance(node, yaml.ScalarNode) else ""
        if not text or len(text) > _MAX_TEXT or not text.isprintable():
            rule = f"must be text on one line, of at most {_MAX_TEXT} characters"
            raise self.error(node, f"{what} {rule}")
        return text

    def whole(self, node: yaml.Node, what: str, *, least: int, most: int = 2**63 - 1) -> int:
        """A whole number in decimal digits."""
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
            end = "2**63 - 1" if most == 2**63 - 1 else most
            raise self.error(node, f"{what} must be a whole number from {least} to {end}")
        return int(text)

    def name(self, node: yaml.Node | None) -> str:
        """The name given, or the file's; it is none of the named suites'."""
        name = self.path.stem if node is None else self.line(node, "name")
        if name in SUITES:
            rule = f"{name!r} is a suite of mislabel's own; needs another name"
            raise self.error(node, rule)
        return name

    def seeds(self, node: yaml.Node) -> list[int]:
        """Seeds from 1 to a number, or those of a list."""
        if isinstance(node, yaml.ScalarNode):
            what = "seeds, where it is no list,"
            return list(range(1, self.whole(node, what, least=1, most=MAX_SEEDS) + 1))
        seeds: list[int] = []
        for entry in self.sequence(node, "seeds"):
            seed = check_seed(self.whole(entry, "a seed", least=0))
            if seed in seeds:
                raise self.error(entry, f"seed {seed} is given twice")
            seeds.append(seed)
        return seeds

    def noises(self, node: yaml.Node) -> dict[str, str]:
        """Families of noises by their spec, clean first."""
        noises = {CLEAN: CLEAN}
        for entry in self.sequence(node, "noises"):
            for spec, where in self.specs(entry):
                try:
                    canonical = canonical_noise(spec)
                    make_noise(canonical).check_parameters()
                except InputError as error:
                    raise self.error(where, str(error)) from None
                if canonical in noises and canonical != CLEAN:
                    raise self.error(where, f"noise {canonical!r} is given twice")
                noises[canonical] = family(canonical)
        return noises

    def specs(self, node: yaml.Node) -> list[tuple[str, yaml.Node]]:
        """The specs of an entry of noises, each with the node that it stands in."""
        if isinstance(node, yaml.ScalarNode):
            return [(self.line(node, "a noise"), node)]
        specs = []
        for kind, rates in self.mapping(node, "a noise that is no spec").items():
            one = isinstance(rates, yaml.ScalarNode)
            for rate in [rates] if one else self.sequence(rates, f"rates of {kind}"):
                specs.append((f"{kind}:{self.line(rate, 'a rate')}", rate))
        return specs

    def thresholds(self, node: yaml.Node | None, noises: Mapping[str, str]) -> list[str]:
        """Texts of thresholds that fit the noises."""
        texts = []
        for entry in [] if node is None else self.sequence(node, "thresholds"):
            texts.append(self.line(entry, "a threshold"))
            try:
                parse_threshold(texts[-1], noises)
            except InputError as error:
                raise self.error(entry, str(error)) from None
        return texts


class _Loader(yaml.SafeLoader):
    """Composes nodes of plain YAML: a tree, without references and tags, and not deep."""

    def __init__(self, file: _File) -> None:
        super().__init__(file.text)
        self.file = file
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self.file.error(event, "anchors (&) and aliases (*) are not allowed")
        if getattr(event, "tag", None) is not None:
            raise self.file.error(event, "tags (!) are not allowed")
        if self.depth == _MAX_DEPTH:
            raise self.file.error(event, "is nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _read(path: Path) -> str:
    try:
        check_plain(path)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        rule = f"cannot be read ({error.strerror or error})"
        raise InputError("suite", str(path), rule) from error
    if len(content) > MAX_BYTES:
        raise InputError("suite", str(path), f"must be at most {MAX_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError("suite", f"{path}:{line}", "must be text in UTF-8") from None
