"""The rows of vendors, their credentials and their limits."""

from vendors.models.credential import Credential, CredentialKey, PoolKey
from vendors.models.ids import new_id
from vendors.models.limit import Limit, counted_since
from vendors.models.users import faults_of_users, users_of, uses
from vendors.models.vendor import DEFAULT_REQUIRED_INPUT, Vendor, required_input_of

__all__ = [
    "DEFAULT_REQUIRED_INPUT",
    "Credential",
    "CredentialKey",
    "Limit",
    "PoolKey",
    "Vendor",
    "counted_since",
    "faults_of_users",
    "new_id",
    "required_input_of",
    "users_of",
    "uses",
]
