"""Teaches Schemathesis to send lines of JSON: they are generated as text."""

import schemathesis

from tests.contract.schemas import LINES_TYPE

schemathesis.serializer.alias(LINES_TYPE, "text/plain")
