"""What a training depends on besides data, labels and seed: the code, as a hash.

Cells are kept between runs, so the hash must change whenever the code under test does. It is of the
source files: that in which a function or class stands, or that a command names, and every file they
import, however indirectly, that is not installed (of the standard library or of ``site-packages``);
of the versions of the installed packages that those import; and of values a function carries along
(defaults, closures, arguments of a partial, parameters of an estimator, and of a script's or
notebook's function, which is sent by value, the global values that it uses). Imports are read from
the syntax, so nothing is run for this.

Pitfalls: files that code opens or imports by a name made at run time are not seen, nor what a shell
script starts, nor files that a command finds only after ``cd``, nor programs found by ``$PATH``;
name them (``code_files``) or give another run folder. In an object of plain data a frozenset of
text hashes differently in each process, which trains again.
"""

import ast
import functools
import importlib.metadata
import inspect
import itertools
import shlex
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mislabel.errors import InputError
from mislabel.files import hash_file, hash_json

Dependencies = dict[str, Any]
"JSON values that are equal for equal code."


def callable_code(train: Any, *, extra: Sequence[Path] = ()) -> Dependencies:
    """Everything that a function, estimator or other callable depends on.

    extra: further files and folders. Error: `InputError` where a value that it carries along
    cannot be hashed.
    """
    reader = _Reader()
    values = reader.read(train)
    roots = [Path(p or ".").resolve() for p in sys.path]
    found = source_code([*reader.files, *extra], roots)
    return found | {"values": hash_json(values), "package": _package_of(train)}


def command_code(command: str, folder: Path, *, extra: Sequence[Path] = ()) -> Dependencies:
    """Everything that a command depends on: its text and the files and modules that it names.

    Named are files, also as in ``--config=FILE``, and local modules, as in ``python -m MODULE``.
    folder: where it is run. extra: further files and folders.
    """
    words = _words(command)
    named = [folder / part for word in words for part in {word, word.partition("=")[2]} if part]
    scripts = [path for path in named if _is_file(path)]
    roots = [path.resolve().parent for path in scripts] + [folder.resolve()]
    for option, module in itertools.pairwise(words):
        if option == "-m":
            scripts += _local_files([*module.split("."), "__main__"], roots)
    return {"command": command} | source_code([*scripts, *extra], roots)


def source_code(paths: Iterable[Path], roots: Sequence[Path]) -> Dependencies:
    """Hashes of files, and of the local files that they import, and versions of what else.

    paths: files and folders. roots: where imports of local modules are looked for. Names are
    relative to a root where they can be, so that a project may be moved.
    """
    local_roots = [root for root in roots if root.is_dir() and not _is_installed(root)]
    todo = [file.resolve() for path in paths for file in _files(path)]
    seen, packages = set[Path](), set[str]()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        todo += _packages_around(file)
        for module, local in _imports(file, local_roots):
            if local:
                todo += local
            else:
                packages.add(module)
    hashes = sorted([_name(file, roots), hash_file(file)] for file in seen)
    return {"files": hashes, "versions": _versions(packages)}


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


class _Reader:
    """Reads a callable and what it carries along: the source files, and the values as JSON."""

    def __init__(self) -> None:
        self.files = set[Path]()
        self._seen: dict[int, tuple[int, Any]] = {}
        "Values that may hold themselves, kept alive so that no other gets their id."

    def read(self, value: Any) -> Any:
        """What a value is, equal for equal content."""
        if isinstance(value, tuple):
            return ["tuple", *map(self.read, value)]
        if isinstance(value, set | frozenset):
            return ["set", *sorted(map(_hash, value))]
        if isinstance(value, str | bytes | int | float | None):
            return _hash(value)
        if id(value) in self._seen:
            return ["again", self._seen[id(value)][0]]
        self._seen[id(value)] = (len(self._seen), value)
        if isinstance(value, list):
            return ["list", *map(self.read, value)]
        if isinstance(value, dict):
            return ["dict", *([_hash(key), self.read(value[key])] for key in _sorted(value))]
        return self._code(value)

    def _code(self, value: Any) -> Any:
        """Functions, classes and their objects; of any other value a hash."""
        if isinstance(value, functools.partial):
            return ["partial", *map(self.read, (value.func, value.args, value.keywords))]
        if inspect.ismethod(value):
            return ["method", self.read(value.__func__), self.read(value.__self__)]
        if inspect.isfunction(value):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if inspect.ismodule(value):
            return ["module", value.__name__]  # its file, where it is local, by the import of it
        parts = _parts(value)
        if parts is None:
            _add_file(type(value), self.files)
            return _hash(value)
        return ["object", self.read(type(value)), self.read(parts)]

    def _function(self, value: Any) -> Any:
        _add_file(value, self.files)
        cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        carried = [value.__defaults__, value.__kwdefaults__, cells]
        if _goes_along(value):
            names = _global_names(value.__code__) & value.__globals__.keys()
            carried.append({name: value.__globals__[name] for name in names})
        return ["function", value.__qualname__, _bytecode(value.__code__), self.read(carried)]

    def _class(self, value: type) -> Any:
        for kind in value.__mro__:
            _add_file(kind, self.files)
        parts: list[Any] = []
        if _goes_along(value):
            inside = {name: _unwrapped(part) for name, part in vars(value).items()}
            parts = [value.__bases__, {k: v for k, v in inside.items() if _says(k, v)}]
        return ["class", value.__qualname__, self.read(parts)]


def _parts(value: Any) -> Any:
    """What an object that runs code consists of; None of one that is plain data."""
    if hasattr(value, "get_params"):
        return value.get_params(deep=False)
    runs = callable(value) or _goes_along(type(value))
    return dict(vars(value)) if runs and hasattr(value, "__dict__") else None


def _says(name: str, value: Any) -> bool:
    """Whether an attribute says what a class does; Python's own bookkeeping does not."""
    hidden = name.startswith(("__", "_abc_")) or inspect.isdatadescriptor(value)
    return inspect.isfunction(value) or not hidden


def _unwrapped(value: Any) -> Any:
    """The functions of a method as it stands in a class."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, functools.cached_property):
        return value.func
    return value


def _goes_along(value: Any) -> bool:
    """Whether a function or class is sent by value, with the global values that it uses.

    Such are those of a script or a notebook, and of modules that nobody else could import. All
    others are imported anew where they run.
    """
    module = sys.modules.get(str(getattr(value, "__module__", None)))
    return module is not None and (module.__name__ == "__main__" or not is_importable(module))


def is_importable(module: Any) -> bool:
    """Whether an import by name in a new process with this path finds the same file.

    Of ``__main__`` it does not matter: what stands there is always sent by value.
    """
    if module.__name__ == "__main__" or _is_built_in(module):
        return True
    paths: Any = None
    origin: str | None = None
    for place in itertools.accumulate(module.__name__.split("."), lambda a, b: f"{a}.{b}"):
        finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
        found = next(filter(None, (f.find_spec(place, paths) for f in finders)), None)
        if found is None:
            return False
        origin, paths = found.origin, found.submodule_search_locations
    file = getattr(module, "__file__", None)
    if file is None or origin is None:
        return file is None and paths is not None  # a package of nothing but a folder
    return Path(origin).resolve() == Path(file).resolve()


def _is_built_in(module: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "origin", None) in ("built-in", "frozen")


def _global_names(code: Any) -> set[str]:
    """Names of globals that a function may read, functions inside it included."""
    inside = (_global_names(constant) for constant in code.co_consts if inspect.iscode(constant))
    return set(code.co_names).union(*inside)


def _sorted(values: Iterable[Any]) -> list[Any]:
    return sorted(values, key=lambda value: (str(type(value)), str(value)))


def _bytecode(code: Any) -> Any:
    """What a function does, for those whose source file is not there (as in a console)."""
    return [code.co_code.hex(), list(code.co_names), [_constant(c) for c in code.co_consts]]


def _constant(value: Any) -> Any:
    if inspect.iscode(value):
        return _bytecode(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _hash(value: Any) -> str:
    """A hash of a plain value: equal for equal content."""
    import joblib

    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    try:
        return str(joblib.hash(value))
    except Exception as error:
        rule = "carries a value that cannot be hashed, so results could not be kept"
        raise InputError("train", value, f"{rule} ({type(error).__name__})") from error


def _add_file(value: Callable[..., Any], files: set[Path]) -> None:
    """Add the file in which a function or class stands, if it is there and local."""
    try:
        found = inspect.getsourcefile(value)
    except TypeError:  # built in
        return
    if found is not None and Path(found).is_file() and not _is_installed(Path(found)):
        files.add(Path(found).resolve())


def _package_of(value: Any) -> dict[str, str]:
    """Version of the installed package that a callable or an estimator's class is from."""
    while isinstance(value, functools.partial):
        value = value.func
    named = value if hasattr(value, "__qualname__") else type(value)
    return _versions([str(getattr(named, "__module__", "")).partition(".")[0]])


def _files(path: Path) -> list[Path]:
    """A file, or the files of a folder that are not hidden."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError("code", str(path), "no such file or folder")
    inside = (p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return [p for p in inside if not any(q.startswith(".") for q in p.relative_to(path).parts)]


def _imports(file: Path, roots: Sequence[Path]) -> Iterator[tuple[str, list[Path]]]:
    """What a Python file imports: top-level name, and the local files of it, if any."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # the training will say so
    for name, where in _names(tree, file, roots):
        local = _local_files(name.split("."), where)
        top = name.partition(".")[0]
        if local or top not in sys.stdlib_module_names:
            yield top, local


def _names(
    tree: ast.AST, file: Path, roots: Sequence[Path]
) -> Iterator[tuple[str, Sequence[Path]]]:
    """Dotted names that a module imports, and where each is looked for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, roots) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            where = list(file.parents)[node.level - 1 : node.level] if node.level else roots
            start = f"{node.module}." if node.module else ""
            yield from ((start + alias.name, where) for alias in node.names)


def _local_files(parts: Sequence[str], roots: Sequence[Path]) -> list[Path]:
    """Files of the local module ``a.b.c`` and its packages; names in it are passed over."""
    for root in roots:
        folder, found = root, list[Path]()
        for part in parts:
            if _is_installed(folder / part):
                break
            package = folder / part / "__init__.py"
            modules = [folder / f"{part}.py", *sorted(folder.glob(f"{part}.*.so"))]
            if package.is_file():
                found.append(package)
            elif there := [file for file in modules if file.is_file()]:
                found += there
                break
            elif not (folder / part).is_dir():
                break
            folder = folder / part
        if found:
            return [file.resolve() for file in found]
    return []


def _packages_around(file: Path) -> list[Path]:
    """The files of the packages in which a Python file stands, which run before it."""
    found = list[Path]()
    for folder in file.parents if file.suffix == ".py" else ():
        package = folder / "__init__.py"
        if not package.is_file():
            break
        found.append(package)
    return found


@functools.cache
def _installed_roots() -> tuple[Path, ...]:
    """Folders of the standard library, of installed packages and of mislabel."""
    paths = sysconfig.get_paths()
    known = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    known.append(str(Path(__file__).parents[1]))  # mislabel goes by its version, however installed
    return tuple(Path(p).resolve() for p in [*known, *site.getsitepackages()])


def _is_installed(path: Path) -> bool:
    resolved = path.resolve()
    return "site-packages" in resolved.parts or any(
        resolved.is_relative_to(root) for root in _installed_roots()
    )


def _name(file: Path, roots: Sequence[Path]) -> str:
    inside = [str(file.relative_to(root)) for root in roots if file.is_relative_to(root)]
    return min(inside, key=len, default=file.name)


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of installed packages by the name under which they are imported."""
    wanted = sorted(set(packages))
    if not wanted:
        return {}
    owners = _distributions()
    return {
        name: importlib.metadata.version(owners[name][0]) for name in wanted if owners.get(name)
    }


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _is_file(path: Path) -> bool:
    """Whether there is a file; a word of a command may be too long to be a path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
