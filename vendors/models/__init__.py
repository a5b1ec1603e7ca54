"""The rows of vendors and of their credentials."""

from vendors.models.credential import Credential, new_id
from vendors.models.users import faults_of_users, users_of
from vendors.models.vendor import DEFAULT_REQUIRED_INPUT, Vendor, required_input_of

__all__ = [
    "DEFAULT_REQUIRED_INPUT",
    "Credential",
    "Vendor",
    "faults_of_users",
    "new_id",
    "required_input_of",
    "users_of",
]
