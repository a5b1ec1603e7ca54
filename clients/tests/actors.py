"""Who acts in tests."""

from audit.record import Actor

OPERATOR = Actor("operator", "192.0.2.1")
