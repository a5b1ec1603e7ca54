"""Adapters by name: the two built-in ones, or the dotted path of a class."""

from django.utils.module_loading import import_string

from vendors.base import Adapter

BUILT_IN = {"sync": "vendors.adapters.sync.SyncAdapter", "async": "vendors.adapters.asynchronous.AsyncAdapter"}


def adapter_class(name: str) -> type[Adapter]:
    """Return the adapter called `name`. Raises ValueError with a sentence that says what is wrong."""
    path = BUILT_IN.get(name, name)
    if "." not in path:
        raise ValueError(f"{name!r} is no adapter; use sync, async or the dotted path of a class.")
    try:
        found = import_string(path)
    except Exception as error:  # whatever the module does while it is imported
        raise ValueError(f"The adapter {name!r} can't be imported: {type(error).__name__}: {error}.") from None
    if not (isinstance(found, type) and issubclass(found, Adapter)):
        raise ValueError(f"{name!r} is not a subclass of vendors.base.Adapter.")
    return found
