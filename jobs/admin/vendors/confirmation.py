"""Keys go to another place only if the operator confirms which ones."""

import re
from typing import Any

from django import forms

CONFIRMATION_FIELD = "variables_again"


class ConfirmingForm(forms.ModelForm):  # type: ignore[type-arg]  # no type argument at run time
    """A form with a field in which to type the names of variables again."""

    @property
    def changed_data(self) -> list[str]:
        return [name for name in super().changed_data if name != CONFIRMATION_FIELD]  # no column

    def require_again(self, cleaned: dict[str, Any], variables: set[str], why: str) -> None:
        """Add an error unless these variables, if any, have been typed again."""
        confirmed = set(re.split(r"[\s,]+", cleaned.get(CONFIRMATION_FIELD) or ""))
        if variables and confirmed != variables:
            text = f"{why}, type {' '.join(sorted(variables))} here."
            self.add_error(CONFIRMATION_FIELD, forms.ValidationError(text, code="again"))
