"""Adapters by name: the built-in ones, and classes in the installation's own folder. Nothing else
is ever imported.

The folder is the package `adapters`: settings.ADAPTERS_DIR/acme.py is the module `adapters.acme`.
It is not on Python's path, where a file in it could take the place of another module.
"""

import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from typing import TYPE_CHECKING

from django.conf import settings

from vendors.base import Adapter
from vendors.places import place

if TYPE_CHECKING:
    from vendors.models import Vendor

BUILT_IN = {
    "sync": "vendors.adapters.sync.SyncAdapter",
    "async": "vendors.adapters.asynchronous.AsyncAdapter",
}
OWN = "adapters"
FORM = re.compile(r"(?:vendors\.)?adapters(?:\.[A-Za-z_][A-Za-z0-9_]*){2,}")


def adapter_class(name: str) -> type[Adapter]:
    """Return the adapter called `name`. Raises ValueError with a sentence that says what is wrong."""
    path = BUILT_IN.get(name, name)
    if not FORM.fullmatch(path):
        raise ValueError(
            f"{name!r} is no adapter; use sync, async or adapters.FILE.CLASS, a class in the folder {settings.ADAPTERS_DIR}."
        )
    module, _, attribute = path.rpartition(".")
    found = getattr(_module(name, module), attribute, None)
    if found is None:
        raise ValueError(f"{name!r} is no adapter: {module} has no class {attribute}.")
    if not (isinstance(found, type) and issubclass(found, Adapter) and found is not Adapter):
        raise ValueError(f"{name!r} is not a subclass of vendors.base.Adapter.")
    return found


def make(vendor: "Vendor") -> Adapter:
    """Return the adapter of a vendor. Raises ValueError with a sentence that says what is wrong."""
    kind = adapter_class(vendor.adapter)
    try:
        return kind(vendor)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # as in _module
        what = f"{type(error).__name__}: {error} ({place(error)})"
        raise ValueError(f"The adapter {vendor.adapter!r} can't be made: {what}.") from error


def _module(name: str, path: str) -> object:
    _mount()
    try:
        return import_module(path)
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # whatever the module does while it is imported: sys.exit() as well
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and f"{path}.".startswith(f"{error.name}.")
        ):
            raise ValueError(
                f"The adapter {name!r} can't be imported: there is no module {path}.{_where(path)}"
            ) from None
        raise ValueError(
            f"The adapter {name!r} can't be imported: {type(error).__name__}: {error} ({place(error)})."
        ) from error


def _where(path: str) -> str:
    return (
        f" Modules of your own belong in {settings.ADAPTERS_DIR}." if path.startswith(OWN) else ""
    )


def _mount() -> None:
    """Make the folder importable as a package."""
    folder = [str(settings.ADAPTERS_DIR)]
    mounted = sys.modules.get(OWN)
    if mounted is None or list(mounted.__path__) != folder:
        spec = ModuleSpec(OWN, None, is_package=True)
        spec.submodule_search_locations = folder
        for name in [name for name in sys.modules if name.startswith(f"{OWN}.")]:
            del sys.modules[name]
        sys.modules[OWN] = module_from_spec(spec)
