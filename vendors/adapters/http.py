"""Stub."""

from vendors.base import Adapter, VendorSettings
from vendors.definitions.compiled import compile_definition


class HttpAdapter(Adapter):
    def __init__(self, vendor: VendorSettings) -> None:
        super().__init__(vendor)
        compile_definition(vendor.url, vendor.definition)  # type: ignore
