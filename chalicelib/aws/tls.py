"""Whom the chat trusts to be AWS."""

import os
import ssl
from functools import cache


def tls() -> ssl.SSLContext:
    """The context of all connections: it trusts whom ``AWS_CA_BUNDLE`` names, or whom the system trusts.

    It takes some 15 ms to make, so it is made once.
    """
    return _context(os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE"))


@cache
def _context(bundle: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=bundle)
    if not context.cert_store_stats()["x509_ca"]:
        # A system without certificates, as some containers and machines of developers are: botocore has them.
        from botocore.httpsession import get_cert_path

        context.load_verify_locations(get_cert_path(True))
    return context
