"""The form field of a definition: text for people, a dict for the row."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString

from vendors.loading.changes import changes
from vendors.loading.text import definition_text
from vendors.loading.toml import FaultyVendorsError, parse_definition


class DefinitionField(forms.CharField):
    """`elsewhere` has a sentence for each key that belongs elsewhere."""

    def __init__(
        self, *, rows: int = 20, elsewhere: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self.elsewhere = elsewhere or {}
        attrs = {"class": "definition", "rows": rows, "spellcheck": "false"}
        super().__init__(widget=forms.Textarea(attrs=attrs), **options)

    def prepare_value(self, value: Any) -> Any:
        return definition_text(value) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        try:
            definition = parse_definition(super().to_python(value) or "")
        except FaultyVendorsError as error:
            faults = [ValidationError(str(it), code=it.key) for it in error.faults]
            raise ValidationError(faults) from None
        misplaced = [name for name in definition if name in self.elsewhere]
        if misplaced:
            sentences = (f"{name}: {self.elsewhere[name]}" for name in misplaced)
            raise ValidationError([ValidationError(it, code="elsewhere") for it in sentences])
        return definition

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return any(changes(initial or {}, self.to_python(data)))
        except ValidationError:
            return True


def shown(definition: dict[str, Any]) -> SafeString:
    """Return a definition for those who may not edit it."""
    return format_html('<pre class="json">{}</pre>', definition_text(definition) or "-")
