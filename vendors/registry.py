"""Adapters by name: the built-in ones, and the classes in settings.ADAPTERS_DIR. No other module is
ever imported.

ADAPTERS_DIR is mounted as the package `adapters`: its file acme.py is the module `adapters.acme`.
It is not on Python's path, where a file in it could shadow another module.
"""

import inspect
import re
import sys
import traceback
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

from django.conf import settings

from vendors.base import Adapter, VendorSettings
from vendors.definitions.faults import DefinitionFaults

HTTP = "vendors.adapters.http.HttpAdapter"  # does what the vendor's definition says
BUILT_IN = {
    "http": HTTP,
    "sync": "vendors.adapters.sync.SyncAdapter",
    "async": "vendors.adapters.asynchronous.AsyncAdapter",
}
BUILT_IN_DIR = Path(__file__).parent / "adapters"
PACKAGE = "adapters"
ADAPTER_PATH = re.compile(r"(?:vendors\.)?adapters(?:\.[A-Za-z_][A-Za-z0-9_]*){2,}")


def is_built_in(adapter: str) -> bool:
    return adapter in BUILT_IN or adapter in BUILT_IN.values()


def is_http(adapter: str) -> bool:
    """Whether the vendor is called as its definition says, and not by code of its own."""
    return adapter in ("http", HTTP)


def adapter_class(name: str) -> type[Adapter]:
    """Return the adapter class called `name`. Raises ValueError with a sentence for people."""
    path = BUILT_IN.get(name, name)
    if not ADAPTER_PATH.fullmatch(path):
        raise ValueError(
            f"{name!r} is not an adapter. Use http, sync, async or adapters.FILE.CLASS, "
            f"a class in the folder {settings.ADAPTERS_DIR}."
        )
    module, _, attribute = path.rpartition(".")
    found = getattr(_import(name, module), attribute, None)
    if found is None:
        raise ValueError(f"{name!r} is not an adapter: {module} has no class {attribute}.")
    if not (isinstance(found, type) and issubclass(found, Adapter) and found is not Adapter):
        raise ValueError(f"{name!r} is not a subclass of vendors.base.Adapter.")
    return found


def make_adapter(vendor: VendorSettings) -> Adapter:
    """Return an instance of the vendor's adapter. Raises ValueError with a sentence for people."""
    kind = adapter_class(vendor.adapter)
    try:
        return kind(vendor)
    except KeyboardInterrupt:
        raise
    except DefinitionFaults as error:
        raise ValueError(f"The definition can't be used: {error}") from None
    except BaseException as error:  # SystemExit too: an adapter must not end the process
        reason = f"{type(error).__name__}: {error} ({location_of(error)})"
        raise ValueError(f"Creating the adapter {vendor.adapter!r} failed: {reason}.") from error


def location_of(error: BaseException) -> str:
    """Return the file and line of the innermost adapter frame of `error`.

    Without such a frame, it is the line that raised the error.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename} line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    in_adapters = [frame for frame in frames if _is_adapter(frame.filename)]
    innermost = (in_adapters or frames)[-1]
    return f"{innermost.filename} line {innermost.lineno}"


def location_of_method(adapter: Adapter, name: str) -> str:
    """Return the file and line at which the adapter defines the method."""
    code = getattr(inspect.unwrap(getattr(type(adapter), name)), "__code__", None)
    return f"{code.co_filename} line {code.co_firstlineno}" if code else type(adapter).__module__


def _is_adapter(filename: str) -> bool:
    folders = settings.ADAPTERS_DIR, BUILT_IN_DIR
    return any(Path(filename).is_relative_to(folder) for folder in folders)


def _import(name: str, path: str) -> object:
    _mount()
    try:
        return import_module(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a module can raise anything when imported
        reason = _why_not_imported(path, error)
        raise ValueError(f"The adapter {name!r} can't be imported: {reason}") from error


def _why_not_imported(path: str, error: BaseException) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if not missing or not f"{path}.".startswith(f"{missing}."):
        return f"{type(error).__name__}: {error} ({location_of(error)})."
    hint = (
        f" Put your own modules into {settings.ADAPTERS_DIR}." if path.startswith(PACKAGE) else ""
    )
    return f"there is no module {path}.{hint}"


def _mount() -> None:
    """Make ADAPTERS_DIR importable as the package `adapters`."""
    folder = [str(settings.ADAPTERS_DIR)]
    mounted = sys.modules.get(PACKAGE)
    if mounted is not None and list(mounted.__path__) == folder:
        return
    for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = folder
    sys.modules[PACKAGE] = module_from_spec(spec)
