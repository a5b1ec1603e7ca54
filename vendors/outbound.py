"""How a vendor's calls leave this machine."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outbound:
    """`proxy_url` names an egress proxy. `ca_file` is trusted in addition to the public certificate
    authorities and VENDOR_CA_FILE. `client_cert_file` holds a certificate and its private key. All
    are empty for none.
    """

    proxy_url: str = field(default="", repr=False)  # may hold a password
    ca_file: str = ""
    client_cert_file: str = ""


DIRECT = Outbound()
