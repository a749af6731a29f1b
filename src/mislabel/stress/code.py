"""What a training depends on besides data, labels and seed: the code, as a hash.

Cells are kept between runs, so the hash must change whenever the code under test does. It is of the
source files: that in which a function or class stands, or that a command names, and every file they
import, however indirectly, that is not installed (of the standard library or of ``site-packages``);
of the versions of the installed packages that those import; and of values a function carries along
(defaults, closures, arguments of a partial, parameters of an estimator). Imports are read from the
syntax, so nothing is run for this.

Pitfall: files that code opens or imports by a name made at run time are not seen; name them
(``code``) or give another run folder.
"""

import ast
import functools
import importlib.metadata
import inspect
import shlex
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    files, values = set[Path](), list[Any]()
    _collect(train, files, values, set())
    roots = [Path(p or ".").resolve() for p in sys.path]
    found = source_code([*files, *extra], roots)
    return found | {"values": hash_json(values), "package": _package_of(train)}


def command_code(command: str, folder: Path, *, extra: Sequence[Path] = ()) -> Dependencies:
    """Everything that a command depends on: its text and the files that it names.

    folder: where it is run. extra: further files and folders.
    """
    named = [folder / word for word in _words(command)]
    scripts = [path for path in named if path.is_file()]
    roots = [path.resolve().parent for path in scripts] + [folder.resolve()]
    return {"command": command} | source_code([*scripts, *extra], roots)


def source_code(paths: Iterable[Path], roots: Sequence[Path]) -> Dependencies:
    """Hashes of files, and of the local files that they import, and versions of what else.

    paths: files and folders. roots: where imports of local modules are looked for. Names are
    relative to a root where they can be, so that a project may be moved.
    """
    todo = [file.resolve() for path in paths for file in _files(path)]
    seen, packages = set[Path](), set[str]()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for module, local in _imports(file, roots):
            if local:
                todo += local
            else:
                packages.add(module)
    hashes = {_name(file, roots): hash_file(file) for file in sorted(seen)}
    return {"files": hashes, "versions": _versions(packages)}


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _collect(value: Any, files: set[Path], values: list[Any], seen: set[int]) -> None:
    """Add the source files of a callable and what it carries along."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        parts: list[Any] = [value.func, value.args, value.keywords]
    elif inspect.ismethod(value):
        parts = [value.__func__, value.__self__]
    elif inspect.isfunction(value):
        _add_file(value, files)
        values.append([value.__qualname__, _bytecode(value.__code__)])
        cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        parts = [value.__defaults__, value.__kwdefaults__, cells]
    elif isinstance(value, type):
        _add_file(value, files)
        values.append(value.__qualname__)
        return
    elif isinstance(value, dict):
        values.append(sorted(map(str, value)))
        parts = [value[key] for key in sorted(value, key=str)]
    elif isinstance(value, list | tuple):
        values.append(len(value))
        parts = list(value)
    elif callable(value) or hasattr(value, "get_params"):
        _add_file(type(value), files)
        values.append(type(value).__qualname__)
        parts = [value.get_params() if hasattr(value, "get_params") else vars(value)]
    else:
        values.append(_hash(value))
        return
    for part in parts:
        _collect(part, files, values, seen)


def _bytecode(code: Any) -> Any:
    """What a function does, for those whose source file is not there (as in a console)."""
    constants = [_bytecode(c) if inspect.iscode(c) else repr(c) for c in code.co_consts
                 if not isinstance(c, frozenset)]  # fmt: skip
    return [code.co_code.hex(), list(code.co_names), constants]


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _hash(value: Any) -> str:
    """A hash of a plain value: equal for equal content."""
    import joblib

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
            where = [file.parents[node.level - 1]] if node.level else roots
            start = f"{node.module}." if node.module else ""
            yield from ((start + alias.name, where) for alias in node.names)


def _local_files(parts: Sequence[str], roots: Sequence[Path]) -> list[Path]:
    """Files of the local module ``a.b.c`` and its packages; names in it are passed over."""
    for root in roots:
        folder, found = root, list[Path]()
        for part in parts:
            if _is_installed(folder / part):
                break
            if (folder / part).is_dir():
                folder = folder / part
                found += [f for f in [folder / "__init__.py"] if f.is_file()]
                continue
            found += [f for f in [folder / f"{part}.py"] if f.is_file()]
            break
        if found:
            return [file.resolve() for file in found]
    return []


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
    owners = importlib.metadata.packages_distributions()
    return {
        name: importlib.metadata.version(owners[name][0]) for name in wanted if owners.get(name)
    }
